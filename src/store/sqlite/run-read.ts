import { StoreError } from '../errors.ts'
import type { ReadWeight, RunRead } from '../reads/bind-reader.ts'
import { type Connection, openConnection } from './connection.ts'
import { createMutex, type Mutex } from './mutex.ts'
import { createQueries } from './queries.ts'
import { createReadWorker } from './read-worker-client.ts'
import { toStoreError } from './to-store-error.ts'

/**
 * Quick reads go to a connection of this thread, heavy ones to a thread of their own; neither can write. Each
 * read is one transaction, so that its statements see one state. In memory there is one connection for all.
 */
export function createRunRead(of: {
  path: string
  writer: Connection
  turns: Mutex
  clock: { now(): number }
  deadlineMs: number
}): { run: RunRead; close(): Promise<void> } {
  return of.path === ':memory:' ? inMemory(of) : onDisk(of)
}

type Parts = Parameters<typeof createRunRead>[0]
type Reads = ReturnType<typeof createRunRead>

function onDisk({ path, clock, deadlineMs }: Parts): Reads {
  const quick = openConnection(path, { isReadOnly: true })
  quick.exec('pragma query_only = on')
  const worker = createReadWorker(path, { deadlineMs })
  const handles = {
    quick: {
      turns: createMutex(),
      execute: async (sql: string, parameters: readonly unknown[]) => quick.run(sql, parameters),
    },
    heavy: { turns: createMutex(), execute: worker.execute },
  }
  const handleOf = (weight: ReadWeight) => (weight === 'quick' ? 'quick' : 'heavy')
  let isClosed = false
  const queries = { quick: createQueries(handles.quick.execute), heavy: createQueries(handles.heavy.execute) }
  return {
    run: (weight, read) =>
      handles[handleOf(weight)].turns.run(async () => {
        const { execute } = handles[handleOf(weight)]
        if (isClosed) throw new StoreError('unavailable', `the store ${path} is closed`)
        try {
          await execute('begin', [])
          return await read({ db: queries[handleOf(weight)], now: clock.now() })
        } catch (error) {
          throw toStoreError(error, path)
        } finally {
          // A thread that was replaced has no transaction; there is nothing to end then.
          await execute('commit', []).catch(() => undefined)
        }
      }),
    async close() {
      isClosed = true
      await handles.quick.turns.run(async () => quick.close())
      await worker.close()
    },
  }
}

function inMemory({ path, writer, turns, clock }: Parts): Reads {
  const db = createQueries(async (sql, parameters) => writer.run(sql, parameters))
  let isClosed = false
  return {
    run: (_weight, read) =>
      turns.run(async () => {
        if (isClosed) throw new StoreError('unavailable', `the store ${path} is closed`)
        writer.exec('pragma query_only = on')
        try {
          return await read({ db, now: clock.now() })
        } catch (error) {
          throw toStoreError(error, path)
        } finally {
          writer.exec('pragma query_only = off')
        }
      }),
    async close() {
      isClosed = true
    },
  }
}
