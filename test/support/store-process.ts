/**
 * A process of its own with a store, for tests of locks and crashes: `node store-process.ts <path> <what>`.
 * It says what it has done, line by line, on standard output; a line is written after the write has resolved.
 *
 * - `hold`: opens and waits
 * - `work`: creates, claims and finishes tickets until it is killed
 * - `crash-migration`: opens with a further migration that kills the process half-way
 * - `fill`: writes until it cannot, then says with what code, and whether it still reads
 */
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { sql } from 'kysely'
import { StoreError } from '../../src/store/errors.ts'
import { MIGRATIONS } from '../../src/store/migrations/list.ts'
import type { Migration } from '../../src/store/migrations/migration.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'

const [path = '', what = ''] = process.argv.slice(2)
/** Synchronous, so that a line that was said is said even if the next instant brings SIGKILL. */
const say = (line: string) => writeSync(1, `${line}\n`)
const clock = { now: () => Date.now() }

const crashingMigration: Migration = {
  number: MIGRATIONS.length + 1,
  name: 'crashing',
  async up(db) {
    await sql.raw('create table half_way (id integer) strict').execute(db)
    await sql.raw("update tickets set title = 'half way'").execute(db)
    process.kill(process.pid, 'SIGKILL')
  },
}

try {
  const migrations = what === 'crash-migration' ? [...MIGRATIONS, crashingMigration] : MIGRATIONS
  const store = await openSqliteStore({ path, clock, randomBytes, migrations })
  say('open')
  if (what === 'hold') {
    setInterval(() => {}, 1_000)
  } else {
    const known = await store.read.findProject({ key: 'CRASH' })
    const project = known ?? (await store.write.createProject({ key: 'CRASH', name: 'x', actor: 'test' }))
    for (;;) {
      const body = what === 'fill' ? 'x'.repeat(100_000) : ''
      const ticket = await store.write.createTicket({
        projectId: project.id,
        title: 't',
        body,
        actor: 'test',
      })
      say(`created ${ticket.key}`)
      if (what === 'fill') continue
      const claimed = await store.write.claimNext({ holder: `p${process.pid}`, leaseTtlMs: 60_000 })
      if (claimed === undefined) continue
      say(`claimed ${claimed.ticket.key} ${claimed.run.lease.epoch}`)
      if (Math.random() < 0.3) continue
      await store.write.finishRun({
        runId: claimed.run.id,
        holder: `p${process.pid}`,
        epoch: claimed.run.lease.epoch,
        outcome: { status: 'succeeded', outputs: {}, ticket: 'done' },
      })
      say(`finished ${claimed.ticket.key}`)
    }
  }
} catch (error) {
  say(`error ${error instanceof StoreError ? error.code : String(error)}`)
  say(error instanceof Error ? error.message : '')
  process.exitCode = 1
}
