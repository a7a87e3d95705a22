/**
 * Random operations against a small model: after each one, every promise about the state as a whole must hold.
 * A failure prints its seed; the same again: `SWARM_SEED=<seed> npx vitest run --project integration <this file>`.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RunId, StepInstanceId, TicketId } from '../../src/domain/id.ts'
import type { LeaseProof } from '../../src/domain/run.ts'
import { isTerminal } from '../../src/domain/status.ts'
import type { StepInstance } from '../../src/domain/step.ts'
import type { Ticket } from '../../src/domain/ticket.ts'
import type { Store } from '../../src/store/contract.ts'
import { StoreError } from '../../src/store/errors.ts'
import { PINS, STORES, type TestStore, toNewInstance } from '../support/store.ts'

const SEED = Number(process.env.SWARM_SEED ?? Date.now() % 2 ** 31)
const OPERATIONS = [
  'create',
  'create',
  'createDependent',
  'createLater',
  'claim',
  'claim',
  'claim',
  'claimOutside',
  'work',
  'work',
  'work',
  'approve',
  'openWait',
  'openChild',
  'park',
  'finish',
  'finish',
  'fail',
  'release',
  'cancelTicket',
  'retryTicket',
  'review',
  'effects',
  'expire',
  'crash',
  'advance',
  'stale',
  'reprioritise',
] as const

type Step = { readonly operation: (typeof OPERATIONS)[number]; readonly pick: number }

const steps = fc.array(
  fc.record({ operation: fc.constantFrom(...OPERATIONS), pick: fc.nat({ max: 10_000 }) }),
  { minLength: 30, maxLength: 120 },
)

for (const { name, open } of STORES) {
  describe(name, () => {
    test(`P8: every ticket that is not terminal is owned by a run, a queue or a person (seed ${SEED})`, {
      timeout: 120_000,
    }, async () => {
      await fc.assert(
        fc.asyncProperty(steps, async (sequence) => {
          const test_ = await open()
          try {
            const world = await beginWorld(test_)
            for (const step of sequence) {
              await act(world, step)
              await checkEverything(world)
            }
          } finally {
            await test_[Symbol.asyncDispose]()
          }
        }),
        { seed: SEED, numRuns: name.includes('disk') ? 8 : 25, endOnFailure: false },
      )
    })
  })
}

/** What the outside knows, and what the store must never contradict. */
type World = {
  readonly test: TestStore
  readonly store: Store
  readonly projectId: Ticket['projectId']
  readonly workflowId: NonNullable<Awaited<ReturnType<Store['read']['findWorkflow']>>>['id']
  /** Proofs of coordinators and agents that think they hold a run */
  readonly proofs: Map<RunId, LeaseProof>
  /** Proofs that were good once and are not any more */
  readonly stale: LeaseProof[]
  /** Highest epoch seen per run */
  readonly epochs: Map<RunId, number>
  /** Instances that have ended, as they ended */
  readonly ended: Map<StepInstanceId, string>
  stepCount: number
}

async function beginWorld(test_: TestStore): Promise<World> {
  const { store } = test_
  const project = await store.write.createProject({ key: 'MODEL', name: 'Model', actor: 'test' })
  const workflow = await store.write.registerWorkflow({
    name: 'w',
    version: '1',
    text: '',
    digest: 'd',
    source: 'shipped',
    actor: 'test',
  })
  return {
    test: test_,
    store,
    projectId: project.id,
    workflowId: workflow.id,
    proofs: new Map(),
    stale: [],
    epochs: new Map(),
    ended: new Map(),
    stepCount: 0,
  }
}

/** Does the operation; refusals that the contract names are part of the game. */
async function act(world: World, step: Step): Promise<void> {
  try {
    await ACTIONS[step.operation](world, step.pick)
  } catch (error) {
    if (
      !(error instanceof StoreError) ||
      !['conflict', 'illegal_transition', 'lease_lost', 'not_claimable'].includes(error.code)
    ) {
      throw error
    }
  }
}

const choose = <T>(items: readonly T[], pick: number): T | undefined =>
  items[pick % Math.max(1, items.length)]
const tickets = async ({ store }: World) => (await store.read.listTickets({ countMax: 500 })).items
const held = ({ proofs }: World, pick: number) => choose([...proofs.values()], pick)

const ACTIONS: Readonly<Record<Step['operation'], (world: World, pick: number) => Promise<void>>> = {
  async create({ store, projectId }, pick) {
    await store.write.createTicket({
      projectId,
      title: 't',
      actor: 'test',
      priority: 1 + (pick % 5),
      isDraft: pick % 13 === 0,
    })
  },
  async createDependent(world, pick) {
    const dependsOn = [choose(await tickets(world), pick), choose(await tickets(world), pick >> 3)].flatMap(
      (ticket) => (ticket === undefined ? [] : [ticket.id]),
    )
    await world.store.write.createTicket({ projectId: world.projectId, title: 'd', actor: 'test', dependsOn })
  },
  async createLater({ store, projectId, test: { clock } }, pick) {
    await store.write.createTicket({
      projectId,
      title: 'l',
      actor: 'test',
      notBefore: clock.now() + (pick % 1_000),
    })
  },
  async claim(world, pick) {
    const expected = await predictClaim(world)
    const claimed = await world.store.write.claimNext({ holder: `c${pick % 3}`, leaseTtlMs: 500 })
    expect(claimed?.ticket.id, 'P15: the best claimable work is claimed').toBe(expected)
    if (claimed === undefined) return
    const { run } = claimed
    remember(world, { runId: run.id, holder: run.lease.holder ?? '', epoch: run.lease.epoch })
    if (run.workflow === null) {
      await world.store.write.translateRun({
        runId: run.id,
        holder: run.lease.holder ?? '',
        epoch: run.lease.epoch,
        workflowId: world.workflowId,
        workflow: 'w@1',
        inputs: {},
        pins: PINS,
      })
    }
  },
  async claimOutside(world, pick) {
    const claimed = await world.store.write.claimTicket({ holder: `agent${pick % 2}`, leaseTtlMs: 500 })
    if (claimed === undefined) return
    const { run } = claimed
    remember(world, { runId: run.id, holder: run.lease.holder ?? '', epoch: run.lease.epoch })
  },
  async work(world, pick) {
    const proof = held(world, pick)
    if (proof === undefined) return
    const instance = await nextInstance(world, proof, pick)
    const { store, test: test_ } = world
    const attempt = await store.write.startAttempt({ ...proof, stepInstanceId: instance.id, inputs: {} })
    const why = { reason: 'agent_failed', detail: '' } as const
    if (pick % 4 === 0) return
    if (pick % 4 === 1) {
      const retryAt = test_.clock.now() + (pick % 100)
      await store.write.failAttempt({ ...proof, attemptId: attempt.id, status: 'failed', ...why, retryAt })
    } else if (pick % 4 === 2) {
      await store.write.failAttempt({ ...proof, attemptId: attempt.id, status: 'lost', ...why })
    } else {
      await store.write.succeedAttempt({ ...proof, attemptId: attempt.id, outputs: {} })
    }
  },
  async openWait(world, pick) {
    const proof = held(world, pick)
    if (proof === undefined) return
    const stepInstanceId = (await nextInstance(world, proof, pick)).id
    const deadlineAt = world.test.clock.now() + (pick % 300)
    const on = { ...proof, stepInstanceId, subject: 's' }
    if (pick % 3 === 0) await world.store.write.openWait({ ...on, kind: 'timer', deadlineAt })
    if (pick % 3 === 1) await world.store.write.openWait({ ...on, kind: 'approval', deadlineAt: null })
    if (pick % 3 === 2) {
      const effect = { key: `e${pick}`, kind: 'http_request', payload: {} } as const
      await world.store.write.openWait({ ...on, kind: 'effect', effect })
    }
  },
  async openChild(world, pick) {
    const proof = held(world, pick)
    if (proof === undefined) return
    const stepInstanceId = (await nextInstance(world, proof, pick)).id
    const child = { workflowId: world.workflowId, workflow: 'w@1', inputs: {}, pins: PINS }
    await world.store.write.openWait({ ...proof, stepInstanceId, kind: 'run', subject: '', child })
  },
  async approve(world, pick) {
    const wait = choose(await world.store.read.listOpenWaits({ kinds: ['approval'] }), pick)
    if (wait === undefined) return
    await world.store.write.resolveWait({
      waitId: wait.id,
      actor: 'ann',
      resolution:
        pick % 2 === 0
          ? { kind: 'succeeded', outputs: {} }
          : { kind: 'failed', reason: 'rejected', detail: 'no' },
    })
  },
  async park(world, pick) {
    const proof = held(world, pick)
    if (proof === undefined) return
    if (await world.store.write.parkRun(proof)) forget(world, proof)
  },
  async finish(world, pick) {
    const proof = held(world, pick)
    if (proof === undefined) return
    const ticket = pick % 2 === 0 ? 'review' : 'done'
    await world.store.write.finishRun({ ...proof, outcome: { status: 'succeeded', outputs: {}, ticket } })
    forget(world, proof)
  },
  async fail(world, pick) {
    const proof = held(world, pick)
    if (proof === undefined) return
    const kinds = [
      { kind: 'requeue', notBefore: world.test.clock.now() + (pick % 200) },
      { kind: 'fail' },
      { kind: 'dead' },
    ] as const
    const why = { reason: 'agent_failed', detail: 'x' } as const
    await world.store.write.finishRun({
      ...proof,
      outcome:
        pick % 4 === 3
          ? { status: 'canceled', ...why }
          : { status: 'failed', ...why, ticket: kinds[(pick % 3) as 0 | 1 | 2] },
    })
    forget(world, proof)
  },
  async release(world, pick) {
    const proof = held(world, pick)
    if (proof === undefined) return
    await world.store.write.releaseRun({ ...proof, notBefore: world.test.clock.now() + (pick % 50) })
    forget(world, proof)
  },
  async cancelTicket(world, pick) {
    const ticket = choose(await tickets(world), pick)
    if (ticket !== undefined) await world.store.write.cancelTicket({ ticketId: ticket.id, actor: 'ann' })
  },
  async retryTicket(world, pick) {
    const ended = (await tickets(world)).filter(({ status }) => status === 'failed' || status === 'canceled')
    const ticket = choose(ended, pick)
    if (ticket !== undefined) await world.store.write.retryTicket({ ticketId: ticket.id, actor: 'ann' })
  },
  async review(world, pick) {
    const proof = held(world, pick)
    const { store, projectId } = world
    const open_ = choose((await store.read.listPullRequests({ statuses: ['open'] })).items, pick)
    if (open_ !== undefined && pick % 2 === 0) {
      const state = pick % 3 === 0 ? 'approved' : 'changes_requested'
      await store.write.reviewPullRequest({ pullRequestId: open_.id, state, actor: 'ann' })
      return
    }
    if (proof === undefined) return
    const run = await store.read.findRun(proof.runId)
    if (run === undefined) return
    await store.write.upsertPullRequest({
      projectId,
      ticketId: run.ticketId,
      runId: run.id,
      forge: 'local',
      title: '',
      body: '',
      branch: `b-${run.ticketId}`,
      baseBranch: 'main',
      headCommit: `h${pick}`,
      baseCommit: 'b',
      diff: '',
      isDiffTruncated: false,
      additionCount: 0,
      deletionCount: 0,
      changedFiles: [],
      url: null,
    })
  },
  async effects(world, pick) {
    const { store, test: test_ } = world
    const pullRequest = choose((await store.read.listPullRequests({ statuses: ['open'] })).items, pick)
    if (pullRequest !== undefined) {
      await store.write.enqueueEffect({
        key: `pr${pick}-${pullRequest.id}`,
        kind: 'merge_pull_request',
        payload: { pullRequestId: pullRequest.id },
        ticketId: pullRequest.ticketId,
        actor: 'ann',
      })
    }
    if (pick % 7 === 0) await store.write.reclaimSendingEffects()
    for (const effect of await store.write.claimEffects({ countMax: 5 })) {
      const effectId = effect.id
      if (pick % 5 === 0) {
        await store.write.failEffect({
          effectId,
          reason: 'forge_failed',
          detail: '',
          retryAt: test_.clock.now() + 5,
        })
      } else if (pick % 5 === 1) {
        await store.write.failEffect({ effectId, reason: 'forge_failed', detail: '' })
      } else if (effect.kind === 'merge_pull_request') {
        const pullRequestId = effect.payload.pullRequestId as NonNullable<Ticket['pullRequestId']>
        const kind = pick % 2 === 0 ? 'merged' : 'closed'
        await store.write.completeEffect({
          effectId,
          outcome:
            kind === 'merged'
              ? { kind, pullRequestId, mergeCommit: 'm', result: {} }
              : { kind, pullRequestId, result: {} },
        })
      } else {
        await store.write.completeEffect({ effectId, outcome: { kind: 'plain', result: {} } })
      }
    }
  },
  async expire(world) {
    await world.store.write.expireLeases({ runCountMax: 3, retryDelayMs: 20 })
    await world.store.write.expireWaits()
  },
  async crash(world, pick) {
    await world.store.write.takeOverRuns({ holders: [`c${pick % 3}`] })
  },
  async advance({ test: { clock } }, pick) {
    clock.advance(pick % 400)
  },
  async stale(world, pick) {
    const proof = choose(world.stale, pick)
    if (proof === undefined || (await isHeld(world, proof))) return
    const seq = (await world.store.read.getFigures()).lastEventSeq
    await expect(world.store.write.recordProgress({ ...proof, data: {} })).rejects.toMatchObject({
      code: 'lease_lost',
    })
    expect((await world.store.read.getFigures()).lastEventSeq).toBe(seq)
  },
  async reprioritise(world, pick) {
    const ticket = choose(await tickets(world), pick)
    if (ticket === undefined) return
    const other = choose(await tickets(world), pick >> 4)
    await world.store.write.updateTicket({
      ticketId: ticket.id,
      changes: {
        priority: 1 + (pick % 5),
        ...(pick % 3 === 0 && other !== undefined && other.createdAt < ticket.createdAt
          ? { dependsOn: [other.id] }
          : {}),
      },
      actor: 'ann',
    })
  },
}

async function nextInstance(world: World, proof: LeaseProof, pick: number): Promise<StepInstance> {
  const present = await world.store.read.listStepInstances(proof.runId)
  const pending = present.filter(({ status }) => status === 'pending')
  const known = choose(pending, pick)
  if (known !== undefined && pick % 2 === 0) return known
  const [created] = await world.store.write.createStepInstances({
    ...proof,
    instances: [toNewInstance(`s${++world.stepCount}`)],
  })
  if (created === undefined) throw new Error('no instance was made')
  return created
}

function remember(world: World, proof: LeaseProof): void {
  const before = world.epochs.get(proof.runId) ?? 0
  expect(proof.epoch, 'the epoch grows with each claim').toBeGreaterThan(before)
  world.epochs.set(proof.runId, proof.epoch)
  const old = world.proofs.get(proof.runId)
  if (old !== undefined) world.stale.push(old)
  world.proofs.set(proof.runId, proof)
}

function forget(world: World, proof: LeaseProof): void {
  world.proofs.delete(proof.runId)
  world.stale.push(proof)
}

async function isHeld({ store }: World, proof: LeaseProof): Promise<boolean> {
  const run = await store.read.findRun(proof.runId)
  return run?.status === 'running' && run.lease.holder === proof.holder && run.lease.epoch === proof.epoch
}

/** The model of the queue: priority, then age of the ticket, then its number; what was begun goes first. */
async function predictClaim(world: World): Promise<TicketId | undefined> {
  const now = world.test.clock.now()
  const all = await tickets(world)
  const byId = new Map(all.map((ticket) => [ticket.id, ticket]))
  const pending = all.filter(({ status, notBefore }) => status === 'pending' && notBefore <= now)
  const { items } = await world.store.read.listRuns({ statuses: ['queued'], countMax: 500 })
  const queued = items.flatMap((run) => {
    const ticket = byId.get(run.ticketId)
    return run.notBefore <= now && ticket !== undefined ? [ticket] : []
  })
  return [...queued, ...pending].toSorted(
    (a, b) => a.priority - b.priority || a.createdAt - b.createdAt || a.number - b.number,
  )[0]?.id
}

async function checkEverything(world: World): Promise<void> {
  const { store } = world
  const all = await tickets(world)
  const byId = new Map(all.map((ticket) => [ticket.id, ticket]))
  for (const ticket of all) {
    const runs = (await store.read.listRuns({ ticketId: ticket.id, countMax: 500 })).items
    const topLevel = runs.filter((run) => run.parentStepInstanceId === null && !isTerminal('run', run.status))
    expect(topLevel.length, `${ticket.key} has at most one live run`).toBeLessThanOrEqual(1)
    expect(await ownerOf(world, ticket), `owner of ${ticket.key}, ${ticket.status}`).not.toBe('nobody')
    const dependencies = await store.read.listDependencies(ticket.id)
    if (ticket.status === 'pending') {
      expect(
        dependencies.every(({ status }) => status === 'done'),
        `${ticket.key} is free`,
      ).toBe(true)
    }
    for (const run of runs) {
      expect((run.status === 'running') === (run.lease.holder !== null), 'a lease is live or absent').toBe(
        true,
      )
      if (isTerminal('run', run.status)) world.proofs.delete(run.id)
      await checkSteps(world, run.id, run.status)
    }
  }
  expect(byId.size).toBe(all.length)
}

/** P5: what has ended stays as it ended; an ended run holds nothing that lives. */
async function checkSteps(world: World, runId: RunId, runStatus: string): Promise<void> {
  const isEnded = isTerminal('run', runStatus as 'queued')
  for (const instance of await world.store.read.listStepInstances(runId)) {
    const fate = `${instance.status} after ${instance.attemptCount}`
    const known = world.ended.get(instance.id)
    if (known !== undefined) expect(fate, 'P5: a completed step never runs again').toBe(known)
    if (isTerminal('step', instance.status)) world.ended.set(instance.id, fate)
    else expect(isEnded, `${instance.key} lives in an ended run`).toBe(false)
  }
  if (!isEnded) return
  expect(await world.store.read.listOpenWaits({ runId })).toEqual([])
  const attempts = await world.store.read.listAttempts({ runId })
  expect(attempts.filter(({ status }) => status === 'running')).toEqual([])
}

async function ownerOf({ store }: World, ticket: Ticket): Promise<string> {
  const dependencies = await store.read.listDependencies(ticket.id)
  const live = (await store.read.listRuns({ ticketId: ticket.id, countMax: 500 })).items.filter(
    (run) => !isTerminal('run', run.status),
  )
  switch (ticket.status) {
    case 'draft':
      return 'a person'
    case 'pending':
      return 'the queue'
    case 'blocked':
      if (dependencies.some(({ status }) => status === 'failed' || status === 'canceled')) {
        return ticket.reason === 'dependency_failed' || ticket.reason === 'dependency_canceled'
          ? 'a person, flagged'
          : 'nobody'
      }
      return dependencies.some(({ status }) => status !== 'done') ? 'another ticket' : 'nobody'
    case 'running':
      return live.some(({ status }) => status === 'running' || status === 'queued') ? 'a run' : 'nobody'
    case 'waiting': {
      const waits = await Promise.all(live.map((run) => store.read.listOpenWaits({ runId: run.id })))
      return waits.flat().length > 0 ? 'what it waits for' : 'nobody'
    }
    case 'review':
      return 'a reviewer'
    default:
      return 'done with'
  }
}
