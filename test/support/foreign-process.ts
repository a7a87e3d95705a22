/**
 * Another program that owns a tickets database: `node foreign-process.ts <path> <what> [count]`. It says what it has
 * done, line by line, on standard output.
 *
 * - `lock`: holds an exclusive lock until it is killed
 * - `hold`: has the database open until it is killed
 * - `work`: writes `count` tickets, 50 a second, and takes open ones for itself as it goes, by comparing and setting
 * - `crash`: dies in the middle of a write that has already reached the file
 */
import { writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'

const [path = '', what = '', count = '0'] = process.argv.slice(2)
const WRITE_EVERY_MS = 20
const say = (line: string) => writeSync(1, `${line}\n`)
const database = new DatabaseSync(path, { timeout: 20_000 })

switch (what) {
  case 'lock':
    database.exec('pragma locking_mode = exclusive; begin exclusive')
    say('locked')
    setInterval(() => {}, 1_000)
    break
  case 'hold':
    database.prepare('select count(*) from tickets').get()
    say('open')
    setInterval(() => {}, 1_000)
    break
  case 'work':
    await work(Number(count))
    break
  case 'crash':
    // Too little room to keep the changes in memory: they go to the file before the commit.
    database.exec('pragma cache_size = 1; pragma cache_spill = 1; begin immediate')
    database.exec(`update tickets set title = 'half written'`)
    process.kill(process.pid, 'SIGKILL')
    break
}

async function work(ticketCount: number): Promise<void> {
  const insert = database.prepare(`insert into tickets (id, title, status) values (?, ?, 'pending')`)
  const find = database.prepare(`select id from tickets where status = 'pending' order by random() limit 1`)
  const take = database.prepare(
    `update tickets set status = 'in_progress', claimed_by = 'their worker' where id = ? and status = 'pending'`,
  )
  const takeOne = () => {
    const id = find.get()?.id
    if (typeof id !== 'string') return false
    if (take.run(id).changes === 1) say(`took ${id}`)
    return true
  }
  for (let number = 0; number < ticketCount; number++) {
    insert.run(`t${String(number).padStart(6, '0')}`, `Ticket ${number}`)
    if (number % 3 === 0) takeOne()
    await delay(WRITE_EVERY_MS)
  }
  say('written')
  while (takeOne()) await delay(WRITE_EVERY_MS)
  say('done')
}
