import type { ProjectId, TicketId } from '../../../src/domain/id.ts'
import type { Store } from '../../../src/store/contract.ts'
import { StoreError } from '../../../src/store/errors.ts'
import type { FakeBoard } from '../../../src/tracker/fake/create-fake-tracker.ts'
import type { SeededRandom } from './seeded-random.ts'
import { Process, type VirtualTime } from './virtual-time.ts'

const BEGIN_MS = 1_000
const APPROVE_MS = 500

/** People at work: they file tickets, cancel, retry, approve, and ask again when they get no answer. */
export class People {
  readonly #deps: PeopleDeps
  readonly #created: TicketId[] = []
  #openCount = 0
  #requestCount = 0

  constructor(deps: PeopleDeps) {
    this.#deps = deps
  }

  /** Whether everything that was asked has been answered */
  get isDone(): boolean {
    return this.#openCount === 0
  }

  start(): void {
    const { random } = this.#deps
    const count = random.pick([1, 1, 1, 2, 2, 3])
    for (let index = 0; index < count; index++) this.#file(index, random.integer(0, BEGIN_MS))
    this.#approve()
  }

  #file(index: number, afterMs: number): void {
    const { random } = this.#deps
    const isTracked = random.chance(0.35)
    this.#ask(`file-${index}`, afterMs, async (store) => {
      const ticketId = isTracked ? await this.#mirror(store, index) : await this.#create(store, index)
      if (this.#created.includes(ticketId)) return
      this.#created.push(ticketId)
      this.#deps.onCreated(ticketId)
      if (random.chance(0.2)) this.#cancel(ticketId, random.integer(0, 2_000))
      if (random.chance(0.2)) this.#retry(ticketId, random.integer(2_000, 5_000))
    })
  }

  async #create(store: Store, index: number): Promise<TicketId> {
    const { random } = this.#deps
    const dependsOn = this.#created.filter(() => random.chance(0.25))
    const workflow = random.pick([null, null, 'two-steps', 'approved', 'side-by-side', 'parent'])
    const priority = random.integer(1, 5)
    // The same key again, after an answer that was lost, gives what was made the first time.
    const projectId = await getProjectId(store)
    const { value } = await store.write.once({ key: `file-${index}`, fingerprint: 'f' }, async (write) => {
      const ticket = await write.createTicket({
        projectId,
        title: `ticket ${index}`,
        actor: 'ann',
        dependsOn,
        workflow,
        priority,
      })
      return ticket.id
    })
    return value as TicketId
  }

  async #mirror(store: Store, index: number): Promise<TicketId> {
    const externalId = `T-${index}`
    const { board } = this.#deps
    if (board.find(externalId) === undefined) board.put({ externalId, title: `ticket ${index}` })
    const projectId = await getProjectId(store)
    const ticket = {
      externalId,
      word: 'pending',
      title: `ticket ${index}`,
      body: '',
      type: 'task',
      labels: [],
      priority: 3,
      workflow: 'approved',
      agent: null,
      inputs: {},
      createdAt: null,
    }
    const input = { tracker: 'fake', projectId, tickets: [ticket], readAt: 0, actor: 'mirror' }
    const [result] = await store.write.mirrorTickets(input)
    if (result === undefined) throw new Error('nothing was mirrored')
    return result.ticketId
  }

  #cancel(ticketId: TicketId, afterMs: number): void {
    this.#ask('cancel', afterMs, async (store) => {
      await store.write.cancelTicket({ ticketId, actor: 'ann' })
    })
  }

  #retry(ticketId: TicketId, afterMs: number): void {
    this.#ask('retry', afterMs, async (store) => {
      const ticket = await store.read.findTicket({ ticketId })
      if (ticket?.status === 'failed' || ticket?.status === 'canceled') {
        await store.write.retryTicket({ ticketId, actor: 'ann' })
      }
    })
  }

  /** Looks now and then what waits for a person, and answers. At the end everything is answered. */
  #approve(): void {
    const { time, world, random, isOver } = this.#deps
    time.schedule(world, APPROVE_MS, () => {
      this.#approve()
      this.#ask('approve', 0, async (store) => {
        for (const wait of await store.read.listOpenWaits({ kinds: ['approval'] })) {
          if (!isOver() && random.chance(0.5)) continue
          await store.write.resolveWait({
            waitId: wait.id,
            actor: 'bob',
            resolution: random.chance(0.85)
              ? { kind: 'succeeded', outputs: { approved: true, approvedBy: 'bob', comment: null } }
              : { kind: 'failed', reason: 'rejected', detail: 'no' },
          })
        }
      })
    })
  }

  /** A request, repeated until it is answered; a refusal is an answer. */
  #ask(what: string, afterMs: number, work: (store: Store) => Promise<void>): void {
    const { time, world, link, begin } = this.#deps
    if (what !== 'approve') this.#openCount++
    const send = () => {
      const process = new Process(`${what}#${++this.#requestCount}`)
      process.isFragile = true
      process.onGone(() => {
        if (!isAnswered) time.schedule(world, 500, send)
      })
      let isAnswered = false
      begin(process, async () => {
        await work(link(process)).catch((error: unknown) => {
          if (!(error instanceof StoreError)) throw error
        })
        isAnswered = true
        if (what !== 'approve') this.#openCount--
      })
    }
    time.schedule(world, afterMs, send)
  }
}

async function getProjectId(store: Store): Promise<ProjectId> {
  const project = await store.read.findProject({ key: 'SIM' })
  if (project === undefined) throw new Error('there is no project')
  return project.id
}

type PeopleDeps = {
  readonly time: VirtualTime
  readonly random: SeededRandom
  readonly board: FakeBoard
  readonly world: Process
  readonly link: (process: Process) => Store
  readonly begin: (process: Process, work: () => Promise<unknown>) => void
  readonly onCreated: (ticketId: TicketId) => void
  readonly isOver: () => boolean
}
