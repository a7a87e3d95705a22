import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Executor } from '../../src/coordinator/executor.ts'
import { Poller } from '../../src/coordinator/poller.ts'
import { Bell } from '../../src/engine/bell.ts'
import { HostSlots } from '../../src/engine/host-slots.ts'
import { createLogger } from '../../src/platform/log.ts'
import type { Claim, Store } from '../../src/store/contract.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { type OpenInput, PAYLOAD, type Peer, type QueueUnderTest } from './contract.ts'

const LOOP = 'Swarm, store'
const POLLER = 'Swarm, poller'
const SETTINGS = { holder: 'bench', leaseTtlMs: 60_000, pollIntervalMs: 500 }
const DURABILITY = 'every commit waits for the disk (WAL, synchronous=FULL)'

/** Swarm's own SQLite store: what everybody else is compared with. */
export const swarm: Peer = {
  name: 'swarm',
  does: 'three commits for a ticket: the ticket with its key and event; run, lease and epoch of its claim; result, end of run and ticket, events, dependents. On top of it runs remember each step, which is not measured here',
  variants: [
    { name: LOOP, settings: 'default; a loop that claims when a ticket was created', durability: DURABILITY },
    { name: POLLER, settings: "default; the coordinator's own poller and slots", durability: DURABILITY },
  ],
  async prepare() {
    const row = new DatabaseSync(':memory:').prepare('select sqlite_version() as version').get()
    return {
      versions: `swarm ${await readSwarmVersion()}, SQLite ${row?.version} of Node`,
      addresses: { [LOOP]: '', [POLLER]: '' },
    }
  },
  async open(input) {
    const path = join(input.directory, 'swarm.db')
    const store = await openSqliteStore({ path, clock: { now: () => Date.now() }, randomBytes })
    return await openOnStore(store, input, input.variant === POLLER ? createPoller : createLoop)
  },
}

async function readSwarmVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** The same over any store. Closing it closes the store. */
export async function openOnStore(
  store: Store,
  input: OpenInput,
  createClaimer: typeof createLoop | typeof createPoller,
): Promise<QueueUnderTest> {
  const project = await store.write.createProject({ key: 'QUEUE', name: 'Queue', actor: 'bench' })
  const work = createWork(store, input)
  const claimer = createClaimer(store, work, input.concurrency)
  return {
    async enqueue(id) {
      await store.write.createTicket({ projectId: project.id, title: id, body: PAYLOAD, actor: 'bench' })
    },
    start: async () => claimer.start(),
    settle: () => work.settle(),
    async close() {
      await claimer.stop()
      await work.settle()
      await store.close()
    },
  }
}

type Work = ReturnType<typeof createWork>

/** What happens to a claimed ticket: the handler, then its result. */
function createWork(store: Store, { onStart }: OpenInput) {
  const underWay = new Set<Promise<void>>()
  let failure: unknown
  async function finish({ run }: Claim): Promise<void> {
    await store.write.finishRun({
      runId: run.id,
      holder: SETTINGS.holder,
      epoch: run.lease.epoch,
      outcome: { status: 'succeeded', outputs: {}, ticket: 'done' },
    })
  }
  return {
    get count(): number {
      return underWay.size
    },
    begin(claim: Claim, onEnd: () => void): void {
      onStart(claim.ticket.title)
      const finished = finish(claim)
        .catch((error: unknown) => {
          failure = error
        })
        .finally(() => {
          underWay.delete(finished)
          onEnd()
        })
      underWay.add(finished)
    },
    async settle(): Promise<void> {
      while (underWay.size > 0) await Promise.all(underWay)
      if (failure !== undefined) throw failure
    },
  }
}

export function createLoop(store: Store, work: Work, concurrency: number) {
  const bell = new Bell()
  const unsubscribe = store.subscribe((events) => {
    if (events.some(({ type }) => type === 'ticket.created')) bell.ring()
  })
  const { holder, leaseTtlMs, pollIntervalMs } = SETTINGS
  let isStopped = false
  let loop: Promise<void> | undefined
  async function run(): Promise<void> {
    while (!isStopped) {
      const claim = work.count < concurrency ? await store.write.claimNext({ holder, leaseTtlMs }) : undefined
      if (claim === undefined) await bell.wait({ timeoutMs: pollIntervalMs })
      else work.begin(claim, () => bell.ring())
    }
  }
  return {
    start(): void {
      loop = run()
    },
    async stop(): Promise<void> {
      isStopped = true
      unsubscribe()
      bell.ring()
      await loop
    },
  }
}

export function createPoller(store: Store, work: Work, concurrency: number) {
  const slots = new HostSlots(concurrency)
  const executor = {
    start(claim: Claim): void {
      slots.hold(claim.run.id)
      work.begin(claim, () => {
        slots.release(claim.run.id)
        poller.wake()
      })
    },
  }
  const poller = new Poller({
    store,
    slots,
    settings: SETTINGS,
    logger: createLogger({ level: 'error' }),
    // The poller calls `start` of it, and nothing else.
    executor: executor as unknown as Executor,
  })
  return poller
}
