import type { EventEmitter } from 'node:events'
import { basename } from 'node:path'
import { Client } from 'pg'
import type { OpenInput, Peer, QueueUnderTest } from './contract.ts'
import { PAYLOAD } from './contract.ts'
import { ensurePeerPackages, loadPeer, readPeerVersion } from './peer-packages.ts'
import { createDatabase, startPostgres } from './postgres-server.ts'
import { untilZero } from './until-zero.ts'

const DEFAULT = 'graphile-worker'
const TUNED = 'graphile-worker, tuned'
const DURABILITY = 'every commit waits for the disk (fsync=on, synchronous_commit=on)'

/** A queue without memory of steps, on PostgreSQL. */
export const graphileWorker: Peer = {
  name: 'graphile-worker',
  does: 'a queue: one row for a job, locked when it is taken, deleted at its end; a job of a worker that died is free after four hours. No memory of steps, no history of what is done',
  variants: [
    { name: DEFAULT, settings: 'default', durability: DURABILITY },
    {
      name: TUNED,
      settings:
        'a local queue of twice the concurrency, ends recorded together (completeJobBatchDelay 0), a pool of concurrency + 2',
      durability: DURABILITY,
    },
  ],
  async prepare(deps) {
    const { address, facts } = await startPostgres(deps)
    await ensurePeerPackages(deps.signal)
    return {
      versions: `${await readPeerVersion('graphile-worker')}, ${facts}`,
      addresses: { [DEFAULT]: address, [TUNED]: address },
    }
  },
  open,
}

/** As much of the library as is used here. */
type GraphileWorker = {
  Logger: new (factory: () => () => void) => object
  runMigrations(options: object): Promise<void>
  makeWorkerUtils(options: object): Promise<{
    addJob(name: string, payload: object): Promise<unknown>
    release(): Promise<void>
  }>
  run(options: object): Promise<{ readonly events: EventEmitter; stop(): Promise<void> }>
}

async function open({
  address,
  directory,
  variant,
  concurrency,
  onStart,
}: OpenInput): Promise<QueueUnderTest> {
  // NOTE: as types of this library are not there where types are checked.
  const library = loadPeer('graphile-worker') as GraphileWorker
  const database = basename(directory).replaceAll('-', '_').toLowerCase()
  const connectionString = await createDatabase(address, database)
  const logger = new library.Logger(() => () => {})
  await library.runMigrations({ connectionString, logger })
  const utils = await library.makeWorkerUtils({ connectionString, logger })
  const counter = new Client({ connectionString })
  await counter.connect()
  let runner: Awaited<ReturnType<GraphileWorker['run']>> | undefined
  return {
    async enqueue(id) {
      await utils.addJob('work', { id, text: PAYLOAD })
    },
    async start() {
      runner = await library.run({
        connectionString,
        concurrency,
        logger,
        noHandleSignals: true,
        taskList: { work: async ({ id }: { id: string }) => onStart(id) },
        ...(variant === TUNED ? toTuned(concurrency) : {}),
      })
    },
    settle: () =>
      untilZero(async () => {
        const { rows } = await counter.query('select count(*)::int as count from graphile_worker.jobs')
        return Number(rows[0]?.count)
      }),
    async close() {
      await runner?.stop()
      await utils.release()
      await counter.end()
    },
  }
}

function toTuned(concurrency: number): object {
  const worker = { localQueue: { size: concurrency * 2 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
  return { maxPoolSize: Math.max(10, concurrency + 2), preset: { worker } }
}
