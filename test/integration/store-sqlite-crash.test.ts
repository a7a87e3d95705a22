/** SIGKILL at any moment: what was acknowledged is there, and what is there is whole. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { createSeededBytes } from '../support/seeded-bytes.ts'

const STORE_PROCESS = fileURLToPath(new URL('../support/store-process.ts', import.meta.url))
const ROUND_COUNT = 12

test('a crash at any moment loses no acknowledged write and leaves no half of one', {
  timeout: 120_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'swarm-store-crash-'))
  const path = join(folder, 'swarm.db')
  const draw = createSeededBytes(Date.now() % 2 ** 31)
  const created = new Set<string>()
  const epochs = new Map<string, number>()
  const finished = new Set<string>()
  try {
    for (let round = 0; round < ROUND_COUNT; round++) {
      for (const line of await workUntilKilled(path, 40 + (draw(1)[0] ?? 0))) {
        const [what, key = '', epoch] = line.split(' ')
        if (what === 'created') created.add(key)
        if (what === 'claimed') {
          expect(finished.has(key), `${key} was claimed after it was finished`).toBe(false)
          expect(epochs.has(key), `${key} was claimed twice as new`).toBe(false)
          epochs.set(key, Number(epoch))
        }
        if (what === 'finished') finished.add(key)
      }
      checkWhole(path)
    }
    expect(created.size).toBeGreaterThan(ROUND_COUNT)
    const store = await openSqliteStore({
      path,
      clock: { now: () => Date.now() },
      randomBytes: createSeededBytes(3),
    })
    for (const key of created) {
      const ticket = await store.read.findTicket({ key })
      expect(ticket, `${key} was acknowledged`).toBeDefined()
      if (finished.has(key)) expect(ticket?.status, `${key} was finished`).toBe('done')
      else if (epochs.has(key)) expect(ticket?.status, `${key} was claimed`).toMatch(/running|done/)
    }
    await store.close()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

/** Lines that the process has said before it was killed, so many ms after its first one. */
async function workUntilKilled(path: string, lifeMs: number): Promise<readonly string[]> {
  const child = spawn(process.execPath, [STORE_PROCESS, path, 'work'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  let said = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (text: string) => {
    if (said === '') setTimeout(() => child.kill('SIGKILL'), lifeMs)
    said += text
  })
  const [, signal] = await ended
  expect(signal, said.slice(-500)).toBe('SIGKILL')
  const lines = said.split('\n')
  // The last line may be cut in the pipe.
  return lines.slice(0, -1)
}

function checkWhole(path: string): void {
  const db = new DatabaseSync(path)
  try {
    const value = (sql: string) => Object.values(db.prepare(sql).get() ?? {})[0]
    expect(value('pragma integrity_check')).toBe('ok')
    expect(db.prepare('pragma foreign_key_check').all()).toEqual([])
    expect(
      value(
        "select count(*) from tickets where status = 'running' and not exists (select 1 from runs where runs.id = current_run_id and runs.status = 'running')",
      ),
    ).toBe(0)
    expect(
      value(
        "select count(*) from runs where status = 'running' and (select status from tickets where tickets.id = ticket_id) <> 'running'",
      ),
    ).toBe(0)
    expect(
      value(
        "select count(*) from tickets where not exists (select 1 from events where events.ticket_id = tickets.id and type = 'ticket.created')",
      ),
    ).toBe(0)
    expect(
      value(
        "select count(*) from runs where (select count(*) from events where events.run_id = runs.id and type = 'run.claimed') <> lease_epoch",
      ),
    ).toBe(0)
    expect(value('select max(seq) - count(*) from events')).toBe(0)
    expect(value('select sum(ticket_count) - (select count(*) from tickets) from projects')).toBe(0)
  } finally {
    db.close()
  }
}
