import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createReadWorker } from '../../src/store/sqlite/read-worker-client.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { createSeededBytes } from '../support/seeded-bytes.ts'
import { waitFor } from '../support/wait-for.ts'

/** A setting of the connection, so that a new one is told from the old one */
const SET = 'pragma cache_size = 123'
const GET = 'pragma cache_size'

test('a store that nobody reads keeps no thread; the next read has one again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'swarm-store-idle-'))
  const path = join(folder, 'swarm.db')
  const store = await openSqliteStore({
    path,
    clock: { now: () => Date.now() },
    randomBytes: createSeededBytes(1),
  })
  const worker = createReadWorker(path, { deadlineMs: 20_000, idleMs: 300 })
  const readSetting = async () => (await worker.execute(GET, [])).rows[0] as { cache_size: number }
  try {
    await worker.execute(SET, [])
    for (let i = 0; i < 5; i++) {
      await delay(100)
      expect(await readSetting()).toEqual({ cache_size: 123 })
    }
    await waitFor('the end of the idle thread', async () => {
      await delay(400)
      return (await readSetting()).cache_size === 123 ? undefined : true
    })
    expect((await readSetting()).cache_size).not.toBe(123)
  } finally {
    await worker.close()
    await store.close()
    await rm(folder, { recursive: true, force: true })
  }
})
