import { type OpenInput, PAYLOAD, type Peer, type QueueUnderTest } from './contract.ts'
import { ensurePeerPackages, loadPeer, readPeerVersion } from './peer-packages.ts'
import { findRedis, startRedis } from './redis-server.ts'
import { untilZero } from './until-zero.ts'

const DURABLE = 'bullmq, durable'
const DEFAULT = 'bullmq'
const TUNED = 'bullmq, tuned'
const EVERYSEC = 'a power cut loses up to a second of jobs (appendonly, appendfsync everysec)'

/** A queue without memory of steps, on Redis. */
export const bullmq: Peer = {
  name: 'bullmq',
  does: 'a queue in memory with a log on disk: one hash for a job, moved between lists; a job of a worker that died is taken up after its lock of 30 s. No memory of steps; a result that comes late is not refused',
  variants: [
    {
      name: DURABLE,
      settings: 'default',
      durability: 'every write waits for the disk (appendonly, appendfsync always)',
    },
    { name: DEFAULT, settings: 'default', durability: EVERYSEC },
    { name: TUNED, settings: 'removeOnComplete', durability: EVERYSEC },
  ],
  async prepare(deps) {
    const { program, version } = await findRedis(deps.redisServer)
    await ensurePeerPackages(deps.signal)
    const always = await startRedis(deps, program, 'always')
    const everysec = await startRedis(deps, program, 'everysec')
    const libraries = await Promise.all(['bullmq', 'ioredis'].map(readPeerVersion))
    return {
      versions: `${libraries.join(', ')}, Redis ${version} (appendonly=yes save="")`,
      addresses: { [DURABLE]: always, [DEFAULT]: everysec, [TUNED]: everysec },
    }
  },
  open,
}

/** As much of the library as is used here. */
type BullMq = {
  Queue: new (
    name: string,
    options: object,
  ) => {
    add(name: string, data: object, options: object): Promise<unknown>
    getJobCountByTypes(...types: string[]): Promise<number>
    obliterate(options: object): Promise<void>
    close(): Promise<void>
  }
  Worker: new (
    name: string,
    handler: (job: { data: { id: string } }) => Promise<void>,
    options: object,
  ) => { waitUntilReady(): Promise<unknown>; close(): Promise<void> }
}

async function open({ address, variant, concurrency, onStart }: OpenInput): Promise<QueueUnderTest> {
  // NOTE: as types of this library are not there where types are checked.
  const { Queue, Worker } = loadPeer('bullmq') as BullMq
  const connection = { path: address, maxRetriesPerRequest: null }
  const name = `cell-${process.pid}`
  const queue = new Queue(name, { connection })
  const jobOptions = variant === TUNED ? { removeOnComplete: true } : {}
  let worker: InstanceType<BullMq['Worker']> | undefined
  return {
    async enqueue(id) {
      await queue.add('work', { id, text: PAYLOAD }, jobOptions)
    },
    async start() {
      worker = new Worker(name, async ({ data }) => onStart(data.id), { connection, concurrency })
      await worker.waitUntilReady()
    },
    settle: () => untilZero(() => queue.getJobCountByTypes('wait', 'active', 'prioritized', 'delayed')),
    async close() {
      await worker?.close()
      await queue.obliterate({ force: true })
      await queue.close()
    },
  }
}
