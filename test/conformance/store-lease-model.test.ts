/**
 * Random sequences of claim, heartbeat, clock jump, crash, complete, cancel, answer and late writes by many workers,
 * each on a connection of its own where the store has several. A small model says of every act whether it is accepted
 * and what it gives; the store must say the same, and hold what the model holds after each.
 * A failure prints its seed; the same again: `SWARM_SEED=<seed> npx vitest run --project integration <this file>`.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RunId, StepInstanceId, WaitId } from '../../src/domain/id.ts'
import type { LeaseProof } from '../../src/domain/run.ts'
import type { Store, StoreWriter } from '../../src/store/contract.ts'
import { StoreError } from '../../src/store/errors.ts'
import { PINS, registerTestWorkflow, STORES, type TestStore, toNewInstance } from '../support/store.ts'

const SEED = Number(process.env.SWARM_SEED ?? Date.now() % 2 ** 31)
const WORKER_COUNT = 4
const TTL_MS = 1_000

type RunModel = {
  status: 'queued' | 'running' | 'waiting' | 'ended'
  holder: string | null
  epoch: number
  expiresAt: number
  isCancelAsked: boolean
  /** Order of the queue: the first one is claimed first */
  readonly place: number
  openWait: WaitId | undefined
  /** Under which it was completed: the same report again is answered in the same way */
  completedUnder?: LeaseProof
}

type Model = {
  now: number
  /** Tickets that were not claimed yet, in the order of their creation */
  pendingCount: number
  nextPlace: number
  readonly runs: Map<RunId, RunModel>
}

type Real = {
  readonly test: TestStore
  /** One for each worker */
  readonly stores: readonly Store[]
  readonly projectId: Awaited<ReturnType<StoreWriter['createProject']>>['id']
  readonly workflowId: Awaited<ReturnType<typeof registerTestWorkflow>>['id']
  /** Every proof that anybody was ever given: most of them are stale */
  readonly proofs: { readonly worker: number; readonly proof: LeaseProof }[]
  stepCount: number
}

type Act = {
  readonly name: string
  run(model: Model, real: Real): Promise<void>
}

class Command implements fc.AsyncCommand<Model, Real> {
  readonly #act: Act

  constructor(act: Act) {
    this.#act = act
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: Real): Promise<void> {
    await this.#act.run(model, real)
    await compare(model, real)
  }

  toString(): string {
    return this.#act.name
  }
}

const worker = fc.nat({ max: WORKER_COUNT - 1 })
const pick = fc.nat({ max: 1_000 })
const toHolder = (index: number) => `worker-${index}`
const writer = ({ stores }: Real, index: number): StoreWriter => (stores[index] ?? (stores[0] as Store)).write

/** Acts under a proof that was given once; `isGood` says whether it still is. */
function withProof(
  name: string,
  weight: number,
  work: (input: {
    model: Model
    real: Real
    run: RunModel
    proof: LeaseProof
    write: StoreWriter
  }) => Promise<() => void>,
): fc.Arbitrary<Command>[] {
  const act = pick.map(
    (index) =>
      new Command({
        name: `${name}(${index})`,
        async run(model, real) {
          // The newest ones are used more often than their share.
          const { proofs } = real
          const given =
            proofs[index % 3 === 0 ? index % Math.max(1, proofs.length) : proofs.length - 1 - (index % 3)]
          const run = given && model.runs.get(given.proof.runId)
          if (given === undefined || run === undefined) return
          const { proof } = given
          const isGood = run.status === 'running' && run.holder === proof.holder && run.epoch === proof.epoch
          const before = await lastEventSeq(real)
          const end = await outcome(() =>
            work({ model, real, run, proof, write: writer(real, given.worker) }),
          )
          const isRepeated = name === 'complete' && run.completedUnder === proof
          if (isRepeated) {
            expect(end.code, 'U4: the same report again').toBe(undefined)
            expect(await lastEventSeq(real), 'U4: the same report again changes nothing').toBe(before)
            return
          }
          if (isGood) expect(end.code, `P1: ${name} under the lease`).toBe(undefined)
          else {
            expect(end.code, `U4: ${name} after the lease`).toBe('lease_lost')
            expect(await lastEventSeq(real), `U4: ${name} after the lease changes nothing`).toBe(before)
          }
          end.value?.()
        },
      }),
  )
  return Array.from({ length: weight }, () => act)
}

async function outcome<T>(work: () => Promise<T>): Promise<{ value?: T; code?: string }> {
  try {
    return { value: await work() }
  } catch (error) {
    if (error instanceof StoreError) return { code: error.code }
    throw error
  }
}

async function lastEventSeq({ test: { store } }: Real): Promise<number> {
  return (await store.read.getFigures()).lastEventSeq
}

function letGo(run: RunModel, status: 'queued' | 'waiting' | 'ended'): void {
  run.status = status
  run.holder = null
}

async function newStep(real: Real, write: StoreWriter, proof: LeaseProof): Promise<StepInstanceId> {
  const instances = [toNewInstance(`s${++real.stepCount}`)]
  const [instance] = await write.createStepInstances({ ...proof, instances })
  if (instance === undefined) throw new Error('no instance was made')
  return instance.id
}

const create = fc.constant(
  new Command({
    name: 'create',
    async run(model, { stores, projectId, test: test_ }) {
      // One instant each: the queue's order is then the order of creation.
      model.now += 1
      test_.clock.set(model.now)
      await (stores[0] as Store).write.createTicket({ projectId, title: 't', actor: 'ann' })
      model.pendingCount++
    },
  }),
)

const claim = worker.map(
  (index) =>
    new Command({
      name: `claim(${index})`,
      async run(model, real) {
        const holder = toHolder(index)
        const write = writer(real, index)
        const claimed = await write.claimNext({ holder, leaseTtlMs: TTL_MS })
        const [best] = [...model.runs].filter(([, run]) => run.status === 'queued').toSorted(byPlace)
        if (best === undefined && model.pendingCount === 0) {
          expect(claimed, 'nothing is claimed from an empty queue').toBe(undefined)
          return
        }
        // A run that was begun is of an older ticket than any that was not.
        expect(claimed?.kind).toBe(best === undefined ? 'new' : 'resumed')
        if (claimed === undefined) return
        const { id, lease } = claimed.run
        const known = model.runs.get(id)
        if (best !== undefined) expect(id, 'P15: the oldest is claimed first').toBe(best[0])
        expect(lease.epoch, 'U5: each claim has the next epoch').toBe((known?.epoch ?? 0) + 1)
        if (known === undefined) model.pendingCount--
        model.runs.set(id, {
          status: 'running',
          holder,
          epoch: lease.epoch,
          expiresAt: model.now + TTL_MS,
          isCancelAsked: known?.isCancelAsked ?? false,
          place: known?.place ?? model.nextPlace++,
          openWait: known?.openWait,
        })
        const proof = { runId: id, holder, epoch: lease.epoch }
        real.proofs.push({ worker: index, proof })
        if (known === undefined) {
          const { workflowId } = real
          await write.translateRun({ ...proof, workflowId, workflow: 'linear@1', inputs: {}, pins: PINS })
        }
      },
    }),
)

const byPlace = ([, a]: [RunId, RunModel], [, b]: [RunId, RunModel]) => a.place - b.place

/** Names every lease that the worker was ever given, under the epochs that it knows. */
const heartbeat = worker.map(
  (index) =>
    new Command({
      name: `heartbeat(${index})`,
      async run(model, real) {
        const holder = toHolder(index)
        const own = real.proofs.filter((given) => given.worker === index)
        const runs = [...new Map(own.map(({ proof }) => [proof.runId, proof])).values()]
        const asked = runs.map(({ runId, epoch }) => ({ runId, epoch }))
        const { lost, cancelRequested } = await writer(real, index).renewLeases({
          holder,
          leaseTtlMs: TTL_MS,
          runs: asked,
        })
        const kept = asked.filter(({ runId, epoch }) => {
          const run = model.runs.get(runId)
          return run?.status === 'running' && run.holder === holder && run.epoch === epoch
        })
        const isKept = new Set(kept.map(({ runId }) => runId))
        const expected = asked.map(({ runId }) => runId).filter((runId) => !isKept.has(runId))
        expect([...lost].toSorted(), 'U4: only what is held is renewed').toEqual(expected.toSorted())
        for (const { runId } of kept) {
          const run = model.runs.get(runId)
          if (run !== undefined) run.expiresAt = model.now + TTL_MS
        }
        const toEnd = [...isKept].filter((runId) => model.runs.get(runId)?.isCancelAsked)
        expect([...cancelRequested].toSorted()).toEqual(toEnd.toSorted())
      },
    }),
)

const jump = fc.nat({ max: 700 }).map(
  (byMs) =>
    new Command({
      name: `jump(${byMs})`,
      async run(model, real) {
        model.now += byMs
        real.test.clock.set(model.now)
      },
    }),
)

const expire = worker.map(
  (index) =>
    new Command({
      name: `expire(${index})`,
      async run(model, real) {
        const expired = await writer(real, index).expireLeases({ runCountMax: 3, retryDelayMs: 0 })
        const due = [...model.runs].filter(
          ([, run]) => run.status === 'running' && run.expiresAt <= model.now,
        )
        expect([...expired].toSorted(), 'U5: what is overdue is offered to others, and nothing else').toEqual(
          due.map(([runId]) => runId).toSorted(),
        )
        for (const [, run] of due) letGo(run, 'queued')
      },
    }),
)

/** The worker is known to be gone: all that it held is offered at once. */
const crash = worker.map(
  (index) =>
    new Command({
      name: `crash(${index})`,
      async run(model, real) {
        const taken = await writer(real, (index + 1) % WORKER_COUNT).takeOverRuns({
          holders: [toHolder(index)],
        })
        const held = [...model.runs].filter(
          ([, run]) => run.status === 'running' && run.holder === toHolder(index),
        )
        expect([...taken].toSorted()).toEqual(held.map(([runId]) => runId).toSorted())
        for (const [, run] of held) letGo(run, 'queued')
      },
    }),
)

const cancel = pick.map(
  (index) =>
    new Command({
      name: `cancel(${index})`,
      async run(model, { stores, test: test_ }) {
        const [id, run] = [...model.runs][index % Math.max(1, model.runs.size)] ?? []
        const found = id && (await test_.store.read.findRun(id))
        if (found === undefined || run === undefined || run.status === 'ended') return
        await (stores[0] as Store).write.cancelTicket({ ticketId: found.ticketId, actor: 'ann' })
        if (run.status === 'running') run.isCancelAsked = true
        else letGo(run, 'ended')
      },
    }),
)

const answer = pick.map(
  (index) =>
    new Command({
      name: `answer(${index})`,
      async run(model, real) {
        const open = [...model.runs.values()].filter(
          ({ openWait, status }) => openWait !== undefined && status !== 'ended',
        )
        const run = open[index % Math.max(1, open.length)]
        if (run?.openWait === undefined) return
        await writer(real, index % WORKER_COUNT).resolveWait({
          waitId: run.openWait,
          actor: 'bob',
          resolution: { kind: 'succeeded', outputs: {} },
        })
        run.openWait = undefined
        if (run.status === 'waiting') run.status = 'queued'
      },
    }),
)

const commands = [
  create,
  create,
  claim,
  claim,
  claim,
  heartbeat,
  heartbeat,
  jump,
  jump,
  expire,
  crash,
  cancel,
  answer,
  ...withProof('step', 3, async ({ real, proof, write }) => {
    const stepInstanceId = await newStep(real, write, proof)
    const attempt = await write.startAttempt({ ...proof, stepInstanceId, inputs: {} })
    await write.succeedAttempt({ ...proof, attemptId: attempt.id, outputs: {} })
    return () => {}
  }),
  ...withProof('complete', 1, async ({ run, proof, write }) => {
    await write.finishRun({ ...proof, outcome: { status: 'succeeded', outputs: {}, ticket: 'done' } })
    return () => {
      letGo(run, 'ended')
      run.completedUnder = proof
    }
  }),
  ...withProof('give back', 1, async ({ run, proof, write }) => {
    await write.releaseRun(proof)
    return () => letGo(run, 'queued')
  }),
  ...withProof('wait for an answer', 2, async ({ real, run, proof, write }) => {
    if (run.openWait !== undefined) return parked(run, await write.parkRun(proof))
    const stepInstanceId = await newStep(real, write, proof)
    const wait = await write.openWait({ ...proof, stepInstanceId, kind: 'approval', subject: 's' })
    return () => {
      run.openWait = wait.id
    }
  }),
]

function parked(run: RunModel, isParked: boolean): () => void {
  expect(isParked, 'a run that waits is parked').toBe(true)
  return () => letGo(run, 'waiting')
}

/** What the store holds is what the model holds. */
async function compare({ runs }: Model, { test: { store } }: Real): Promise<void> {
  for (const [id, run] of runs) {
    const found = await store.read.findRun(id)
    const status = found?.finishedAt === null ? found.status : 'ended'
    const held = { status, holder: found?.lease.holder ?? null, epoch: found?.lease.epoch }
    expect(held).toEqual({ status: run.status, holder: run.holder, epoch: run.epoch })
    if (run.status === 'running') expect(found?.lease.expiresAt).toBe(run.expiresAt)
  }
}

for (const { name, open, isConcurrent } of STORES) {
  const numRuns = name === 'SQLite in memory' ? 60 : 10
  describe(name, () => {
    test(`P1 U4 U5 P15: one holder at a time, whatever workers do (seed ${SEED})`, {
      timeout: 300_000,
    }, async () => {
      await fc.assert(
        fc.asyncProperty(fc.commands(commands, { maxCommands: 80, size: 'max' }), async (sequence) => {
          const test_ = await open()
          try {
            await fc.asyncModelRun(() => begin(test_, isConcurrent), sequence)
          } finally {
            await test_[Symbol.asyncDispose]()
          }
        }),
        { seed: SEED, numRuns, endOnFailure: isConcurrent },
      )
    })
  })
}

async function begin(test_: TestStore, isConcurrent: boolean): Promise<{ model: Model; real: Real }> {
  const { store } = test_
  const project = await store.write.createProject({ key: 'MODEL', name: 'Model', actor: 'test' })
  const workflow = await registerTestWorkflow(store)
  const others = isConcurrent ? [await test_.openAnother()] : []
  const stores = Array.from({ length: WORKER_COUNT }, (_, index) => others[index % 2] ?? store)
  return {
    model: { now: test_.clock.now(), pendingCount: 0, nextPlace: 0, runs: new Map() },
    real: { test: test_, stores, projectId: project.id, workflowId: workflow.id, proofs: [], stepCount: 0 },
  }
}
