/** Runs, steps, attempts, waits, effects, pull requests and records: what every store promises. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type {
  EffectId,
  HostId,
  PullRequestId,
  RunId,
  SandboxId,
  StepInstanceId,
  TicketId,
  TokenId,
  WaitId,
  WorkflowId,
} from '../../src/domain/id.ts'
import { toId } from '../../src/domain/id.ts'
import type { PullRequest } from '../../src/domain/pull-request.ts'
import type { LeaseProof } from '../../src/domain/run.ts'
import { listStatuses, type SandboxStatus, TRANSITIONS } from '../../src/domain/status.ts'
import type { Ticket } from '../../src/domain/ticket.ts'
import type { Store, UpsertPullRequestInput } from '../../src/store/contract.ts'
import { createSeededBytes } from '../support/seeded-bytes.ts'
import {
  beginAttempt,
  beginScene,
  claim,
  createInstances,
  createTestTicket,
  dump,
  HOLDER,
  openApproval,
  PINS,
  type RunningScene,
  registerTestWorkflow,
  STORES,
  type TestStore,
  toNewInstance,
} from '../support/store.ts'

/** A shared store tells its subscribers soon, not at once */
const HEARD = { timeout: 10_000 }

const bytes = createSeededBytes(7)

for (const { name, open } of STORES) {
  describe(name, () => {
    let test_: TestStore
    let store: Store
    let scene: RunningScene
    let proof: LeaseProof

    beforeEach(async () => {
      test_ = await open()
      store = test_.store
      scene = await beginScene(store)
      proof = scene.proof
    })
    afterEach(async () => await test_[Symbol.asyncDispose]())

    const getTicket = async (ticketId: TicketId = scene.ticket.id): Promise<Ticket> => {
      const ticket = await store.read.findTicket({ ticketId })
      if (ticket === undefined) throw new Error(`no ticket ${ticketId}`)
      return ticket
    }
    const getRun = async (runId: RunId = proof.runId) => {
      const run = await store.read.findRun(runId)
      if (run === undefined) throw new Error(`no run ${runId}`)
      return run
    }
    const getInstance = async (id: StepInstanceId) => {
      const instances = await store.read.listStepInstances(proof.runId)
      const instance = instances.find((candidate) => candidate.id === id)
      if (instance === undefined) throw new Error(`no instance ${id}`)
      return instance
    }
    const eventTypes = async (afterSeq: number) =>
      (await store.read.listEvents({ afterSeq, countMax: 500 })).map(({ type }) => type)
    const lastSeq = async () => (await store.read.getFigures()).lastEventSeq
    const succeed = async (ticket: 'done' | 'review' = 'done', by: LeaseProof = proof) =>
      await store.write.finishRun({ ...by, outcome: { status: 'succeeded', outputs: { n: 1 }, ticket } })

    describe('runs', () => {
      test('a run is translated once: it finishes on the version it began with', async () => {
        const run = await getRun()
        expect(run).toMatchObject({ workflow: 'linear@1', pins: PINS })
        const other = await registerTestWorkflow(store, 'other')
        const pins = { ...PINS, branch: 'swarm/x' }
        await expect(
          store.write.translateRun({
            ...proof,
            workflowId: other.id,
            workflow: 'other@1',
            inputs: {},
            pins,
          }),
        ).rejects.toMatchObject({ code: 'conflict' })
        const again = await store.write.translateRun({
          ...proof,
          workflowId: run.workflowId as WorkflowId,
          workflow: 'linear@1',
          inputs: {},
          pins,
        })
        expect(again).toEqual(run)
      })

      test('translating names no branch on the ticket: nothing was pushed yet', async () => {
        const ticket = await createTestTicket(store, scene.project)
        const next = await claim(store)
        const workflow = await registerTestWorkflow(store, 'other')
        await store.write.translateRun({
          ...next.proof,
          workflowId: workflow.id,
          workflow: 'other@1',
          inputs: { a: 1 },
          pins: { ...PINS, branch: 'swarm/x' },
        })
        expect((await getTicket(ticket.id)).branch).toBeNull()
        expect((await getRun(next.run.id)).pins?.branch).toBe('swarm/x')
        expect((await getRun(next.run.id)).inputs).toEqual({ a: 1 })
      })

      test('progress is an event and nothing else', async () => {
        const seq = await lastSeq()
        await store.write.recordProgress({ ...proof, data: { percent: 40 } })
        await store.write.recordProgress({ ...proof, type: 'agent.milestone', data: {} })
        expect(await eventTypes(seq)).toEqual(['run.progressed', 'agent.milestone'])
      })

      test('success: outputs on run and ticket, and the lease is gone', async () => {
        const { run, ticket } = await succeed()
        expect(run).toMatchObject({ status: 'succeeded', outputs: { n: 1 }, finishedAt: test_.clock.now() })
        expect(run.lease).toMatchObject({ holder: null, expiresAt: null, epoch: 1 })
        expect(ticket).toMatchObject({ status: 'done', outputs: { n: 1 }, finishedAt: test_.clock.now() })
      })

      test('P1: the same report again gives back what was recorded, and changes nothing', async () => {
        const first = await succeed()
        const before = await dump(test_)
        expect(await succeed()).toEqual(first)
        await expect(
          store.write.finishRun({
            ...proof,
            outcome: { status: 'failed', reason: 'agent_failed', detail: '', ticket: { kind: 'fail' } },
          }),
        ).rejects.toMatchObject({ code: 'lease_lost' })
        await expect(succeed('done', { ...proof, holder: 'other' })).rejects.toMatchObject({
          code: 'lease_lost',
        })
        await expect(succeed('done', { ...proof, epoch: 2 })).rejects.toMatchObject({ code: 'lease_lost' })
        expect(await dump(test_)).toBe(before)
      })

      test('the end of a run ends everything in it: attempts, waits, instances, tokens', async () => {
        const { instance, attempt } = await beginAttempt(store, proof)
        const { instanceId, waitId } = await openApproval(store, proof)
        const [idle] = await createInstances(store, proof, 'idle')
        const token = await store.write.createToken({
          name: 'run',
          scopes: ['run'],
          expiresAt: null,
          secretHash: 'hash',
          runId: proof.runId,
          actor: 'coordinator',
        })
        await succeed()
        expect(await store.read.findAttempt(attempt.id)).toMatchObject({
          status: 'canceled',
          reason: 'parent_ended',
        })
        for (const id of [instance.id, instanceId, idle?.id as StepInstanceId]) {
          expect(await getInstance(id)).toMatchObject({ status: 'canceled', reason: 'parent_ended' })
        }
        expect((await store.read.findWait(waitId))?.resolvedAt).toBe(test_.clock.now())
        expect((await store.read.findTokenByHash('hash'))?.revokedAt).toBe(test_.clock.now())
        expect((await store.read.listTokens()).map(({ id }) => id)).toEqual([token.id])
      })

      test('U17: a run that has ended gets no token any more, also from a holder that comes too late', async () => {
        await succeed()
        const input = {
          name: 'run',
          scopes: ['run'],
          expiresAt: null,
          secretHash: 'late',
          actor: 'c',
        } as const
        const late = store.write.createToken({ ...input, runId: proof.runId })
        await expect(late).rejects.toMatchObject({ code: 'conflict' })
        expect(await store.read.findTokenByHash('late')).toBe(undefined)
      })

      test('a failed run requeues, fails or buries its ticket, as it was decided', async () => {
        const notBefore = test_.clock.now() + 1_000
        const why = { status: 'failed', reason: 'verification_failed', detail: 'red' } as const
        const { ticket } = await store.write.finishRun({
          ...proof,
          outcome: { ...why, ticket: { kind: 'requeue', notBefore } },
        })
        expect(ticket).toMatchObject({
          status: 'pending',
          notBefore,
          reason: 'verification_failed',
          deadAt: null,
        })
        test_.clock.set(notBefore)
        const second = await claim(store)
        expect(second.ticket).toMatchObject({ runCount: 2, reason: null })
        const dead = await store.write.finishRun({
          ...second.proof,
          outcome: { ...why, outputs: { partial: true }, ticket: { kind: 'dead' } },
        })
        expect(dead.ticket).toMatchObject({ status: 'failed', deadAt: notBefore })
        expect(dead.run).toMatchObject({
          status: 'failed',
          reason: 'verification_failed',
          outputs: { partial: true },
        })
        await store.write.retryTicket({ ticketId: dead.ticket.id, actor: 'ann' })
        const third = await claim(store)
        const failed = await store.write.finishRun({
          ...third.proof,
          outcome: { ...why, ticket: { kind: 'fail' } },
        })
        expect(failed.ticket).toMatchObject({ status: 'failed', deadAt: null })
        expect(
          (await store.read.listRuns({ ticketId: dead.ticket.id })).items.map(({ number }) => number),
        ).toEqual([3, 2, 1])
      })

      test('a run without an open wait is not parked', async () => {
        const before = await dump(test_)
        expect(await store.write.parkRun(proof)).toBe(false)
        expect(await dump(test_)).toBe(before)
      })

      test('a parked run holds no lease, its ticket says what it waits for, and it comes back by its wait', async () => {
        const { waitId, instanceId } = await openApproval(store, proof)
        expect(await store.write.parkRun(proof)).toBe(true)
        expect((await getRun()).lease).toMatchObject({ holder: null, expiresAt: null })
        expect(await getTicket()).toMatchObject({
          status: 'waiting',
          reason: 'waiting_for_approval',
          detail: 'Ship it?',
        })
        expect(await store.write.claimNext({ holder: HOLDER, leaseTtlMs: 1 })).toBeUndefined()
        const wait = await store.write.resolveWait({
          waitId,
          actor: 'token:ann',
          resolution: { kind: 'succeeded', outputs: { approved: true } },
        })
        expect(wait).toMatchObject({ resolvedBy: 'token:ann', resolvedAt: test_.clock.now() })
        expect(await getInstance(instanceId)).toMatchObject({
          status: 'succeeded',
          outputs: { approved: true },
        })
        expect(await getTicket()).toMatchObject({ status: 'running', reason: null })
        expect(await claim(store)).toMatchObject({ kind: 'resumed', run: { id: proof.runId } })
      })

      test('a wait that is resolved while the run runs does not queue it', async () => {
        const { waitId } = await openApproval(store, proof)
        await store.write.resolveWait({
          waitId,
          actor: 'ann',
          resolution: { kind: 'failed', reason: 'rejected', detail: 'no' },
        })
        expect((await getRun()).status).toBe('running')
        expect(await store.write.parkRun(proof)).toBe(false)
      })

      test('canceling a run that nobody drives cancels its ticket; a driven one is asked once', async () => {
        const seq = await lastSeq()
        await store.write.requestRunCancel({ runId: proof.runId, actor: 'ann' })
        const asked = await store.write.requestRunCancel({ runId: proof.runId, actor: 'ann' })
        expect(asked).toMatchObject({ status: 'running', cancelRequestedAt: test_.clock.now() })
        expect(await eventTypes(seq)).toEqual(['run.cancel_requested'])
        await store.write.releaseRun(proof)
        const ended = await store.write.requestRunCancel({ runId: proof.runId, actor: 'ann' })
        expect(ended.status).toBe('canceled')
        expect((await getTicket()).status).toBe('canceled')
        expect(await store.write.requestRunCancel({ runId: proof.runId, actor: 'ann' })).toEqual(ended)
      })
    })

    describe('step instances and attempts', () => {
      test('creating instances again leaves those that exist as they are', async () => {
        const first = await store.write.createStepInstances({
          ...proof,
          instances: [toNewInstance('b', 0), toNewInstance('b', 1), toNewInstance('a')],
        })
        expect(first.map(({ key }) => key)).toEqual(['b[0]', 'b[1]', 'a'])
        const attempt = await store.write.startAttempt({
          ...proof,
          stepInstanceId: first[0]?.id as StepInstanceId,
          inputs: { x: 1 },
        })
        const seq = await lastSeq()
        const again = await store.write.createStepInstances({
          ...proof,
          instances: [toNewInstance('c'), toNewInstance('b', 0)],
        })
        expect(again.map(({ key, status }) => [key, status])).toEqual([
          ['c', 'pending'],
          ['b[0]', 'running'],
        ])
        expect(await eventTypes(seq)).toEqual(['step.created'])
        expect((await store.read.listStepInstances(proof.runId)).map(({ key }) => key)).toEqual([
          'b[0]',
          'b[1]',
          'a',
          'c',
        ])
        expect(attempt.number).toBe(1)
      })

      test('an attempt goes from launch to its end, with all that it brought, in one transaction', async () => {
        const { instance, attempt } = await beginAttempt(store, proof)
        expect(attempt).toMatchObject({ number: 1, status: 'running', phase: 'launching' })
        expect(await getInstance(instance.id)).toMatchObject({
          status: 'running',
          attemptCount: 1,
          inputs: {},
        })
        const sandboxId = toId('sandbox', test_.clock.now(), bytes(16))
        await store.write.advanceAttempt({
          ...proof,
          attemptId: attempt.id,
          phase: 'awaiting',
          handle: { execId: 'e1' },
          sandboxId,
        })
        expect(await store.read.findAttempt(attempt.id)).toMatchObject({
          phase: 'awaiting',
          handle: { execId: 'e1' },
          sandboxId,
        })
        const seq = await lastSeq()
        await store.write.succeedAttempt({
          ...proof,
          attemptId: attempt.id,
          outputs: { answer: 42 },
          exitCode: 0,
          resultCommit: 'abc',
          artifacts: [{ name: 'log', path: 'p', byteCount: 3, sha256: 'f'.repeat(64) }],
          usage: [{ model: 'm', inputTokenCount: 1, outputTokenCount: 2, costMicroUsd: null, durationMs: 5 }],
        })
        expect(await eventTypes(seq)).toEqual(['artifact.added', 'attempt.succeeded', 'step.succeeded'])
        expect(await store.read.findAttempt(attempt.id)).toMatchObject({
          status: 'succeeded',
          outputs: { answer: 42 },
          exitCode: 0,
          resultCommit: 'abc',
          finishedAt: test_.clock.now(),
        })
        expect(await getInstance(instance.id)).toMatchObject({ status: 'succeeded', outputs: { answer: 42 } })
        expect(await store.read.listArtifacts(proof.runId)).toMatchObject([{ name: 'log', attempt: 1 }])
        expect(await store.read.listUsage(proof.runId)).toMatchObject([
          { model: 'm', inputTokenCount: 1, attempt: 1, stepInstanceId: instance.id },
        ])
      })

      test('P5: a completed step never runs again', async () => {
        const { instance, attempt } = await beginAttempt(store, proof)
        await store.write.succeedAttempt({ ...proof, attemptId: attempt.id, outputs: {} })
        const before = await dump(test_)
        const refused: Promise<unknown>[] = [
          store.write.startAttempt({ ...proof, stepInstanceId: instance.id, inputs: {} }),
          store.write.succeedAttempt({ ...proof, attemptId: attempt.id, outputs: { other: 1 } }),
          store.write.failAttempt({
            ...proof,
            attemptId: attempt.id,
            status: 'failed',
            reason: 'agent_failed',
            detail: '',
            retryAt: 0,
          }),
          store.write.endStepInstance({ ...proof, stepInstanceId: instance.id, status: 'failed' }),
          store.write.openWait({ ...proof, stepInstanceId: instance.id, kind: 'timer', subject: '' }),
        ]
        for (const answer of await Promise.allSettled(refused)) {
          expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'illegal_transition' } })
        }
        await expect(
          store.write.advanceAttempt({
            ...proof,
            attemptId: attempt.id,
            phase: 'launching',
            handle: {},
          }),
        ).rejects.toMatchObject({ code: 'conflict' })
        expect(await dump(test_)).toBe(before)
      })

      test('U9: a retried step is pending, keeps its inputs, and is not tried before its time', async () => {
        const [instance] = await createInstances(store, proof, 'flaky')
        const stepInstanceId = instance?.id as StepInstanceId
        const first = await store.write.startAttempt({
          ...proof,
          stepInstanceId,
          inputs: { a: 1 },
          baseCommit: 'base',
        })
        const retryAt = test_.clock.now() + 5_000
        await store.write.failAttempt({
          ...proof,
          attemptId: first.id,
          status: 'lost',
          reason: 'sandbox_lost',
          detail: 'gone',
          exitCode: 137,
          retryAt,
        })
        expect(await getInstance(stepInstanceId)).toMatchObject({
          status: 'pending',
          notBefore: retryAt,
          reason: 'sandbox_lost',
          attemptCount: 1,
        })
        const again = { ...proof, stepInstanceId, inputs: { a: 2 } }
        await expect(store.write.startAttempt(again)).rejects.toMatchObject({ code: 'conflict' })
        test_.clock.set(retryAt)
        const second = await store.write.startAttempt(again)
        expect(second.number).toBe(2)
        expect(await getInstance(stepInstanceId)).toMatchObject({ inputs: { a: 1 }, reason: null })
        expect(
          (await store.read.listAttempts({ stepInstanceId })).map(({ number, status, exitCode }) => [
            number,
            status,
            exitCode,
          ]),
        ).toEqual([
          [1, 'lost', 137],
          [2, 'running', null],
        ])
        const state = await store.read.loadRunState(proof.runId)
        expect(state?.attempts.map(({ id }) => id)).toEqual([second.id])
      })

      test('an attempt that fails for good ends its instance as it ended', async () => {
        const ends = [
          ['failed', 'failed'],
          ['lost', 'failed'],
          ['canceled', 'canceled'],
        ] as const
        for (const [status, expected] of ends) {
          const { instance, attempt } = await beginAttempt(store, proof, `step-${status}`)
          await store.write.failAttempt({
            ...proof,
            attemptId: attempt.id,
            status,
            reason: 'agent_failed',
            detail: 'why',
            outputs: { tail: 'x' },
          })
          expect(await getInstance(instance.id)).toMatchObject({
            status: expected,
            reason: 'agent_failed',
            detail: 'why',
            outputs: { tail: 'x' },
          })
        }
      })

      test('an instance with a live attempt is not ended over its head', async () => {
        const { instance } = await beginAttempt(store, proof)
        await expect(
          store.write.endStepInstance({ ...proof, stepInstanceId: instance.id, status: 'canceled' }),
        ).rejects.toMatchObject({ code: 'conflict' })
      })

      test('an instance is skipped, failed or canceled without an attempt, but does not succeed by itself', async () => {
        const instances = await createInstances(store, proof, 'a', 'b', 'c', 'd')
        const ends = ['skipped', 'failed', 'canceled'] as const
        for (const [index, status] of ends.entries()) {
          const stepInstanceId = instances[index]?.id as StepInstanceId
          await store.write.endStepInstance({ ...proof, stepInstanceId, status, reason: 'condition_false' })
          expect(await getInstance(stepInstanceId)).toMatchObject({ status, reason: 'condition_false' })
        }
        await expect(
          store.write.endStepInstance({
            ...proof,
            stepInstanceId: instances[3]?.id as StepInstanceId,
            status: 'succeeded',
          }),
        ).rejects.toMatchObject({ code: 'illegal_transition' })
      })

      test("another run's instances and attempts are out of reach", async () => {
        const { instance, attempt } = await beginAttempt(store, proof)
        const other = await beginScene(store)
        const calls = [
          store.write.startAttempt({ ...other.proof, stepInstanceId: instance.id, inputs: {} }),
          store.write.succeedAttempt({ ...other.proof, attemptId: attempt.id, outputs: {} }),
          store.write.advanceAttempt({
            ...other.proof,
            attemptId: attempt.id,
            phase: 'awaiting',
            handle: {},
          }),
          store.write.endStepInstance({
            ...other.proof,
            stepInstanceId: instance.id,
            status: 'canceled',
          }),
        ]
        for (const answer of await Promise.allSettled(calls)) {
          expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'not_found' } })
        }
      })

      test('the dispatcher loads everything it decides on as of one moment', async () => {
        const { attempt } = await beginAttempt(store, proof)
        const { waitId } = await openApproval(store, proof)
        const state = await store.read.loadRunState(proof.runId)
        expect(state).toMatchObject({
          run: { id: proof.runId },
          ticket: { id: scene.ticket.id },
          project: { id: scene.project.id },
          instances: [{ key: 'step' }, { key: 'approve' }],
          attempts: [{ id: attempt.id }],
          openWaits: [{ id: waitId }],
        })
        expect(await store.read.loadRunState('run_none' as RunId)).toBeUndefined()
      })
    })

    describe('waits and signals', () => {
      const wait = async (
        stepId: string,
        input: { kind: 'timer' | 'signal' | 'question'; deadlineAt?: number },
      ) => {
        const [instance] = await createInstances(store, proof, stepId)
        return await store.write.openWait({
          ...proof,
          stepInstanceId: instance?.id as StepInstanceId,
          subject: stepId,
          ...input,
        })
      }

      test('a wait is resolved once', async () => {
        const { waitId } = await openApproval(store, proof)
        const resolution = { kind: 'succeeded', outputs: {} } as const
        const answers = await Promise.allSettled(
          ['ann', 'bob', 'eve'].map((actor) => store.write.resolveWait({ waitId, actor, resolution })),
        )
        expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
        expect(answers[1]).toMatchObject({ reason: { code: 'conflict' } })
        expect((await store.read.findWait(waitId))?.resolvedBy).toBe('ann')
        await expect(
          store.write.resolveWait({ waitId: 'wai_none' as WaitId, actor: 'x', resolution }),
        ).rejects.toMatchObject({ code: 'not_found' })
      })

      test('an instance has one open wait', async () => {
        const { instanceId } = await openApproval(store, proof)
        await expect(
          store.write.openWait({ ...proof, stepInstanceId: instanceId, kind: 'timer', subject: '' }),
        ).rejects.toMatchObject({ code: 'conflict' })
      })

      test('timers fire and succeed; what nobody answered expires; what is not due stays', async () => {
        const now = test_.clock.now()
        const timer = await wait('timer', { kind: 'timer', deadlineAt: now + 10 })
        const question = await wait('question', { kind: 'question', deadlineAt: now + 20 })
        const signal = await wait('signal', { kind: 'signal', deadlineAt: now + 20 })
        const later = await wait('later', { kind: 'timer', deadlineAt: now + 1_000 })
        const forever = await wait('forever', { kind: 'signal' })
        await store.write.parkRun(proof)
        expect(await store.write.expireWaits()).toEqual([])
        expect(await store.read.findNextDueAt()).toBe(now + 10)
        test_.clock.set(now + 20)
        expect(await store.write.expireWaits()).toEqual([timer.id, question.id, signal.id])
        expect(await getInstance(timer.stepInstanceId)).toMatchObject({ status: 'succeeded' })
        for (const { stepInstanceId } of [question, signal]) {
          expect(await getInstance(stepInstanceId)).toMatchObject({
            status: 'failed',
            reason: 'wait_expired',
          })
        }
        expect((await store.read.listOpenWaits({ runId: proof.runId })).map(({ id }) => id)).toEqual([
          later.id,
          forever.id,
        ])
        expect((await store.read.listOpenWaits({ kinds: ['signal'] })).map(({ id }) => id)).toEqual([
          forever.id,
        ])
        expect((await getRun()).status).toBe('queued')
      })

      test('a signal that arrives before anyone waits is kept, and read in order, each once', async () => {
        for (const payload of [{ n: 1 }, { n: 2 }]) {
          await store.write.sendSignal({ runId: proof.runId, name: 'go', payload, actor: 'ann' })
        }
        const resolved = [await wait('go', { kind: 'signal' })]
        const [again] = await createInstances(store, proof, 'again')
        resolved.push(
          await store.write.openWait({
            ...proof,
            stepInstanceId: again?.id as StepInstanceId,
            kind: 'signal',
            subject: 'go',
          }),
        )
        expect(resolved.map(({ resolvedAt }) => resolvedAt)).toEqual([test_.clock.now(), test_.clock.now()])
        const outputs = (await store.read.listStepInstances(proof.runId)).map((instance) => instance.outputs)
        expect(outputs).toEqual([{ n: 1 }, { n: 2 }])
      })

      test('a signal wakes the run that waits for it; another name does not', async () => {
        const opened = await wait('go', { kind: 'signal' })
        await store.write.parkRun(proof)
        expect(await getTicket()).toMatchObject({
          status: 'waiting',
          reason: 'waiting_for_signal',
          detail: 'go',
        })
        const send = async (signal: string) =>
          await store.write.sendSignal({ runId: proof.runId, name: signal, payload: { x: 1 }, actor: 'ann' })
        expect((await send('stop')).consumedAt).toBeNull()
        expect((await getRun()).status).toBe('waiting')
        expect((await send('go')).consumedAt).toBe(test_.clock.now())
        expect(await getInstance(opened.stepInstanceId)).toMatchObject({
          status: 'succeeded',
          outputs: { x: 1 },
        })
        expect((await getRun()).status).toBe('queued')
        await store.write.requestRunCancel({ runId: proof.runId, actor: 'ann' })
        await expect(send('late')).rejects.toMatchObject({ code: 'conflict' })
      })

      test('the ticket says what a person can do first', async () => {
        await wait('timer', { kind: 'timer', deadlineAt: test_.clock.now() + 1_000 })
        await openApproval(store, proof)
        await store.write.parkRun(proof)
        expect((await getTicket()).reason).toBe('waiting_for_approval')
      })
    })

    describe('child runs', () => {
      const openChild = async (stepId = 'sub') => {
        const [instance] = await createInstances(store, proof, stepId)
        const workflow = await registerTestWorkflow(store, 'child')
        const opened = await store.write.openWait({
          ...proof,
          stepInstanceId: instance?.id as StepInstanceId,
          kind: 'run',
          subject: 'child',
          child: { workflowId: workflow.id, workflow: 'child@1', inputs: { a: 1 }, pins: PINS },
        })
        return { instance, wait: opened, childId: opened.subject as RunId }
      }

      test('a child run is queued with its wait, and its success resolves it', async () => {
        const { wait, childId, instance } = await openChild()
        expect(wait).toMatchObject({ kind: 'run' })
        await store.write.parkRun(proof)
        const child = await claim(store)
        expect(child.run).toMatchObject({
          id: childId,
          ticketId: scene.ticket.id,
          number: 2,
          workflow: 'child@1',
          inputs: { a: 1 },
          parentStepInstanceId: instance?.id,
        })
        expect((await getTicket()).status).toBe('running')
        await succeed('done', child.proof)
        expect(await getInstance(wait.stepInstanceId)).toMatchObject({
          status: 'succeeded',
          outputs: { n: 1 },
        })
        expect(await getTicket()).toMatchObject({ status: 'running', currentRunId: proof.runId })
        expect((await getRun()).status).toBe('queued')
      })

      test("a child's failure fails the step; the ticket is the parent's to decide", async () => {
        const { wait } = await openChild()
        await store.write.parkRun(proof)
        const child = await claim(store)
        await store.write.finishRun({
          ...child.proof,
          outcome: { status: 'failed', reason: 'agent_failed', detail: 'sub', ticket: { kind: 'dead' } },
        })
        expect(await getInstance(wait.stepInstanceId)).toMatchObject({
          status: 'failed',
          reason: 'agent_failed',
          detail: 'sub',
        })
        expect((await getTicket()).status).toBe('running')
      })

      test('a child that waits makes the ticket wait for what the child waits for', async () => {
        await openChild()
        await store.write.parkRun(proof)
        const child = await claim(store)
        await openApproval(store, child.proof)
        await store.write.parkRun(child.proof)
        expect(await getTicket()).toMatchObject({ status: 'waiting', reason: 'waiting_for_approval' })
      })

      test('the end of the parent ends a queued child, and asks one that runs', async () => {
        const queued = await openChild('first')
        await succeed()
        expect((await getRun(queued.childId)).status).toBe('canceled')

        const next = await beginScene(store)
        proof = next.proof
        const running = await openChild('second')
        const child = await claim(store, 'coordinator-2')
        await store.write.finishRun({
          ...proof,
          outcome: { status: 'failed', reason: 'agent_failed', detail: '', ticket: { kind: 'fail' } },
        })
        expect(await getRun(running.childId)).toMatchObject({
          status: 'running',
          cancelRequestedAt: test_.clock.now(),
        })
        await store.write.finishRun({
          ...child.proof,
          outcome: { status: 'canceled', reason: 'parent_ended', detail: 'asked' },
        })
        expect((await getTicket(next.ticket.id)).status).toBe('failed')
      })

      test('canceling the ticket reaches a parked parent through its running child', async () => {
        const { childId } = await openChild()
        await store.write.parkRun(proof)
        const child = await claim(store)
        expect((await store.write.cancelTicket({ ticketId: scene.ticket.id, actor: 'ann' })).status).toBe(
          'running',
        )
        expect((await getRun(childId)).cancelRequestedAt).not.toBeNull()
        await store.write.finishRun({
          ...child.proof,
          outcome: { status: 'canceled', reason: 'canceled_by_person', detail: 'asked' },
        })
        const parent = await claim(store)
        expect(parent.run).toMatchObject({ id: proof.runId, cancelRequestedAt: test_.clock.now() })
        await store.write.finishRun({
          ...parent.proof,
          outcome: { status: 'canceled', reason: 'canceled_by_person', detail: 'asked' },
        })
        expect((await getTicket()).status).toBe('canceled')
      })
    })

    describe('the outbox', () => {
      const enqueue = async (key: string, ticketId: TicketId = scene.ticket.id) =>
        await store.write.enqueueEffect({
          key,
          kind: 'http_request',
          payload: { key },
          ticketId,
          runId: proof.runId,
          actor: 'coordinator',
        })
      const claimKeys = async (countMax = 10) =>
        (await store.write.claimEffects({ countMax })).map(({ key }) => key)
      const idOf = async (key: string) => (await store.read.findEffect({ key }))?.id as EffectId
      const done = async (key: string) =>
        await store.write.completeEffect({
          effectId: await idOf(key),
          outcome: { kind: 'plain', result: { ok: key } },
        })

      test('a second enqueue with the same key gives back the first', async () => {
        const first = await enqueue('k')
        const seq = await lastSeq()
        expect(await enqueue('k')).toEqual(first)
        expect(await lastSeq()).toBe(seq)
        expect(await store.read.findEffect({ effectId: first.id })).toEqual(first)
      })

      test("a ticket's effects are sent in order, one at a time; another ticket's are not held up", async () => {
        const other = await createTestTicket(store, scene.project)
        await enqueue('a1')
        await enqueue('a2')
        await enqueue('b1', other.id)
        expect(await claimKeys()).toEqual(['a1', 'b1'])
        expect(await claimKeys()).toEqual([])
        await store.write.failEffect({
          effectId: await idOf('a1'),
          reason: 'network_failed',
          detail: 'reset',
          retryAt: test_.clock.now() + 100,
        })
        expect(await claimKeys()).toEqual([])
        expect(await store.read.findNextDueAt()).toBe(test_.clock.now() + 100)
        test_.clock.advance(100)
        expect(await claimKeys()).toEqual(['a1'])
        expect(await store.read.findEffect({ key: 'a1' })).toMatchObject({
          status: 'sending',
          attemptCount: 2,
        })
        await done('a1')
        expect(await claimKeys()).toEqual(['a2'])
      })

      test('a dead effect does not hold up those after it', async () => {
        await enqueue('a1')
        await enqueue('a2')
        await claimKeys()
        await store.write.failEffect({ effectId: await idOf('a1'), reason: 'push_failed', detail: 'no' })
        expect(await store.read.findEffect({ key: 'a1' })).toMatchObject({
          status: 'dead',
          reason: 'push_failed',
          finishedAt: test_.clock.now(),
        })
        expect(await claimKeys()).toEqual(['a2'])
      })

      test('an effect has one sender, under any number of claimers', async () => {
        for (let i = 0; i < 30; i++) {
          await enqueue(`e${i}`, (await createTestTicket(store, scene.project)).id)
        }
        const claimed = (
          await Promise.all(Array.from({ length: 20 }, () => store.write.claimEffects({ countMax: 3 })))
        ).flat()
        expect(claimed).toHaveLength(30)
        expect(new Set(claimed.map(({ key }) => key)).size).toBe(30)
      })

      test('P14: what was being sent when the process died is sent again, under the same key', async () => {
        await enqueue('k')
        expect(await claimKeys()).toEqual(['k'])
        expect(await store.write.reclaimSendingEffects()).toBe(1)
        expect(await store.write.reclaimSendingEffects()).toBe(0)
        expect(await claimKeys()).toEqual(['k'])
        expect((await done('k')).result).toEqual({ ok: 'k' })
        const before = await dump(test_)
        await done('k')
        expect(await dump(test_)).toBe(before)
      })

      test('P14: what a living coordinator sends is not taken from it; what a silent or stopped one sent is', async () => {
        const { write } = store
        const register = (name: string) =>
          write.registerHost({ name, holder: `${name}:1`, pid: 1, bootId: 'b', slotCount: 1 })
        const [living, silent, stopped] = [
          await register('near'),
          await register('far'),
          await register('off'),
        ]
        const keys: string[] = []
        for (const host of [living, silent, stopped]) {
          await enqueue(host.name, (await createTestTicket(store, scene.project)).id)
          const claimed = await write.claimEffects({ countMax: 1, holder: host.holder })
          keys.push(...claimed.map(({ key }) => key))
        }
        expect(keys).toEqual(['near', 'far', 'off'])
        await write.stopHost({ hostId: stopped.id })
        test_.clock.advance(60_000)
        await write.touchHost({ hostId: living.id })
        expect(await write.reclaimSendingEffects({ holder: 'me', silentMs: 60_000 })).toBe(2)
        expect(await claimKeys()).toEqual(['far', 'off'])
        const late = { holder: silent.holder, reason: 'forge_failed', detail: 'late' } as const
        const effectId = await idOf('far')
        expect(await write.failEffect({ effectId, ...late })).toMatchObject({ status: 'sending' })
        expect(await write.reclaimSendingEffects({ holder: living.holder })).toBe(2)
        expect(await write.reclaimSendingEffects({ holder: 'alone' })).toBe(1)
      })

      test('P14: a result is durable before any outside call: the effect is in the transaction of its wait', async () => {
        const { attempt } = await beginAttempt(store, proof, 'work')
        await store.write.succeedAttempt({ ...proof, attemptId: attempt.id, outputs: { paid: true } })
        const [instance] = await createInstances(store, proof, 'publish')
        const commits: string[][] = []
        store.subscribe((events) => commits.push(events.map(({ type }) => type)))
        const wait = await store.write.openWait({
          ...proof,
          stepInstanceId: instance?.id as StepInstanceId,
          kind: 'effect',
          subject: '',
          effect: { key: 'pr', kind: 'publish_pull_request', payload: {} },
        })
        await expect.poll(() => commits, HEARD).toEqual([['effect.enqueued', 'wait.opened', 'step.waiting']])
        expect(wait.subject).toBe(await idOf('pr'))
        await store.write.parkRun(proof)
        await claimKeys()
        await store.write.failEffect({ effectId: await idOf('pr'), reason: 'forge_failed', detail: '503' })
        expect(await getInstance(wait.stepInstanceId)).toMatchObject({
          status: 'failed',
          reason: 'forge_failed',
        })
        expect((await store.read.listStepInstances(proof.runId))[0]?.outputs).toEqual({ paid: true })
        expect((await getRun()).status).toBe('queued')
      })

      test('a wait for an effect that has happened already is resolved at once', async () => {
        await enqueue('pr')
        await claimKeys()
        await done('pr')
        const [instance] = await createInstances(store, proof, 'publish')
        const wait = await store.write.openWait({
          ...proof,
          stepInstanceId: instance?.id as StepInstanceId,
          kind: 'effect',
          subject: '',
          effect: { key: 'pr', kind: 'http_request', payload: {} },
        })
        expect(wait.resolvedAt).toBe(test_.clock.now())
        expect(await getInstance(wait.stepInstanceId)).toMatchObject({
          status: 'succeeded',
          outputs: { ok: 'pr' },
        })
      })

      test('an unsent effect that a run waited for is not sent after the run has ended', async () => {
        const [instance] = await createInstances(store, proof, 'publish')
        await store.write.openWait({
          ...proof,
          stepInstanceId: instance?.id as StepInstanceId,
          kind: 'effect',
          subject: '',
          effect: { key: 'pr', kind: 'publish_pull_request', payload: {} },
        })
        await enqueue('plain')
        await store.write.finishRun({
          ...proof,
          outcome: { status: 'canceled', reason: 'canceled_by_person', detail: 'no' },
        })
        expect(await claimKeys()).toEqual(['plain'])
        expect((await store.read.listEffects({ statuses: ['dead'] })).map(({ key }) => key)).toEqual(['pr'])
      })

      test('a pushed branch is named by its ticket', async () => {
        await enqueue('push')
        await claimKeys()
        await store.write.completeEffect({
          effectId: await idOf('push'),
          outcome: { kind: 'pushed', ticketId: scene.ticket.id, branch: 'swarm/b', result: {} },
        })
        expect((await getTicket()).branch).toBe('swarm/b')
      })

      test('an effect that is not there, or was never begun, is not completed', async () => {
        const effect = await enqueue('k')
        const outcome = { kind: 'plain', result: {} } as const
        await expect(store.write.completeEffect({ effectId: effect.id, outcome })).rejects.toMatchObject({
          code: 'illegal_transition',
        })
        await expect(
          store.write.completeEffect({ effectId: 'eff_none' as EffectId, outcome }),
        ).rejects.toMatchObject({ code: 'not_found' })
      })
    })

    describe('pull requests', () => {
      const toInput = (input: Partial<UpsertPullRequestInput> = {}): UpsertPullRequestInput => ({
        projectId: scene.project.id,
        ticketId: scene.ticket.id,
        runId: proof.runId,
        forge: 'local',
        title: 'Fix it',
        body: '',
        branch: 'swarm/x',
        baseBranch: 'main',
        headCommit: 'h1',
        baseCommit: 'b1',
        diff: 'diff --git',
        isDiffTruncated: false,
        additionCount: 1,
        deletionCount: 2,
        changedFiles: ['a.ts'],
        url: null,
        ...input,
      })
      const open_ = async (input: Partial<UpsertPullRequestInput> = {}): Promise<PullRequest> =>
        await store.write.upsertPullRequest(toInput(input))
      /** Ends the pull request by an effect, as the outbox does. */
      const end = async (
        pullRequestId: PullRequestId,
        outcome: 'merged' | 'closed' | 'merge_refused',
      ): Promise<void> => {
        const key = `${outcome}-${await lastSeq()}`
        await store.write.enqueueEffect({
          key,
          kind: 'merge_pull_request',
          payload: {},
          ticketId: scene.ticket.id,
          actor: 'ann',
        })
        const [effect] = await store.write.claimEffects({ countMax: 1 })
        const effectId = effect?.id as EffectId
        if (outcome === 'merged') {
          await store.write.completeEffect({
            effectId,
            outcome: { kind: 'merged', pullRequestId, mergeCommit: 'm1', result: {} },
          })
        } else if (outcome === 'closed') {
          await store.write.completeEffect({
            effectId,
            outcome: { kind: 'closed', pullRequestId, result: {} },
          })
        } else {
          await store.write.completeEffect({
            effectId,
            outcome: {
              kind: 'merge_refused',
              pullRequestId,
              reason: 'merge_conflict',
              detail: 'a.ts',
              result: {},
            },
          })
        }
      }

      test('there is one open pull request per project, forge and branch: a second call updates the first', async () => {
        const first = await open_()
        expect(first).toMatchObject({
          number: 1,
          status: 'open',
          reviewState: 'none',
          changedFiles: ['a.ts'],
        })
        expect(await getTicket()).toMatchObject({ pullRequestId: first.id, branch: 'swarm/x' })
        const second = await open_({ title: 'Better', headCommit: 'h2', isDiffTruncated: true })
        expect(second).toMatchObject({ id: first.id, number: 1, title: 'Better', isDiffTruncated: true })
        const many = await Promise.all(Array.from({ length: 5 }, () => open_({ branch: 'swarm/y' })))
        expect(new Set(many.map(({ id }) => id)).size).toBe(1)
        expect(many[0]?.number).toBe(2)
        expect((await store.read.listPullRequests({ projectId: scene.project.id })).items).toHaveLength(2)
        const by = { projectId: scene.project.id, forge: 'local' }
        expect((await store.read.findPullRequest({ ...by, branch: 'swarm/x' }))?.id).toBe(first.id)
        expect((await store.read.findPullRequest({ ...by, number: 2 }))?.branch).toBe('swarm/y')
        expect(await store.read.findPullRequest({ ...by, number: 9 })).toBeUndefined()
      })

      test('a ticket in review is done when its pull request is merged, and its dependents go on', async () => {
        const pullRequest = await open_()
        const dependent = await createTestTicket(store, scene.project, { dependsOn: [scene.ticket.id] })
        expect((await succeed('review')).ticket).toMatchObject({
          status: 'review',
          reason: 'waiting_for_review',
        })
        expect((await getTicket(dependent.id)).status).toBe('blocked')
        await end(pullRequest.id, 'merged')
        expect(await getTicket()).toMatchObject({ status: 'done', outputs: { n: 1 } })
        expect((await getTicket(dependent.id)).status).toBe('pending')
        expect(await store.read.findPullRequest({ pullRequestId: pullRequest.id })).toMatchObject({
          status: 'merged',
          mergeCommit: 'm1',
          mergedAt: test_.clock.now(),
        })
      })

      test('a pull request that is merged while the run still runs: the ticket is done with the run', async () => {
        const pullRequest = await open_()
        await end(pullRequest.id, 'merged')
        expect((await getTicket()).status).toBe('running')
        expect((await succeed('review')).ticket.status).toBe('done')
      })

      test('P8: a closed pull request fails its ticket, whether it was closed before or after the run ended', async () => {
        const pullRequest = await open_()
        await succeed('review')
        await end(pullRequest.id, 'closed')
        expect(await getTicket()).toMatchObject({ status: 'failed', reason: 'pull_request_closed' })

        scene = await beginScene(store)
        proof = scene.proof
        const early = await open_({ branch: 'swarm/early' })
        await end(early.id, 'closed')
        expect((await succeed('review')).ticket).toMatchObject({
          status: 'failed',
          reason: 'pull_request_closed',
        })
      })

      test('a refused merge is recorded and shown; the ticket stays in review', async () => {
        const pullRequest = await open_()
        await succeed('review')
        await end(pullRequest.id, 'merge_refused')
        expect(await getTicket()).toMatchObject({
          status: 'review',
          reason: 'merge_conflict',
          detail: 'a.ts',
        })
        expect((await store.read.findPullRequest({ pullRequestId: pullRequest.id }))?.status).toBe('open')
      })

      test('P8: requested changes put the ticket back into the queue, also when they came during the run', async () => {
        const pullRequest = await open_()
        await succeed('review')
        const review = async (state: 'approved' | 'changes_requested', comment?: string) =>
          await store.write.reviewPullRequest({
            pullRequestId: pullRequest.id,
            state,
            actor: 'ann',
            ...(comment === undefined ? {} : { comment }),
          })
        expect((await review('approved')).reviewState).toBe('approved')
        expect((await getTicket()).status).toBe('review')
        await review('changes_requested', 'name it better')
        expect(await getTicket()).toMatchObject({
          status: 'pending',
          reason: 'changes_requested',
          detail: 'name it better',
          pullRequestId: pullRequest.id,
        })
        expect((await store.read.listComments(scene.ticket.id)).map(({ body }) => body)).toEqual([
          'name it better',
        ])

        const second = await claim(store)
        await review('changes_requested', 'still')
        expect((await succeed('review', second.proof)).ticket).toMatchObject({
          status: 'pending',
          reason: 'changes_requested',
        })
        const third = await claim(store)
        await open_({ headCommit: 'h3', runId: third.run.id })
        expect((await succeed('review', third.proof)).ticket.status).toBe('review')
      })

      test('P8: a request for changes begins one further run, also when that one changes nothing', async () => {
        const pullRequest = await open_()
        await succeed('review')
        const request = { pullRequestId: pullRequest.id, state: 'changes_requested', actor: 'ann' } as const
        await store.write.reviewPullRequest(request)
        const second = await claim(store)
        await open_({ runId: second.run.id })
        expect((await succeed('review', second.proof)).ticket).toMatchObject({
          status: 'review',
          reason: 'waiting_for_review',
        })
        // It still stands: nothing was done about it, and a person sees that.
        const found = await store.read.findPullRequest({ pullRequestId: pullRequest.id })
        expect(found).toMatchObject({ status: 'open', reviewState: 'changes_requested' })
        await store.write.reviewPullRequest(request)
        expect((await getTicket()).status).toBe('pending')
      })

      test('an ended pull request takes no review; a closed one may be opened again by its number', async () => {
        const pullRequest = await open_({ forge: 'github', number: 77 })
        expect(pullRequest.number).toBe(77)
        await end(pullRequest.id, 'closed')
        await expect(
          store.write.reviewPullRequest({ pullRequestId: pullRequest.id, state: 'approved', actor: 'ann' }),
        ).rejects.toMatchObject({ code: 'conflict' })
        expect(await open_({ forge: 'github', number: 77 })).toMatchObject({
          id: pullRequest.id,
          status: 'open',
        })
        await end(pullRequest.id, 'merged')
        // The same once more is a repetition after a crash; anything else was not what was merged.
        expect(await open_({ forge: 'github', number: 77 })).toMatchObject({ status: 'merged' })
        await expect(
          open_({ forge: 'github', number: 77, headCommit: 'f'.repeat(40) }),
        ).rejects.toMatchObject({ code: 'conflict' })
        await expect(end(pullRequest.id, 'closed')).rejects.toMatchObject({ code: 'illegal_transition' })
      })
    })

    describe('sandboxes', () => {
      const register = async () =>
        await store.write.registerHost({ name: 'h', holder: HOLDER, pid: 1, bootId: 'b', slotCount: 2 })
      const createEntry = async (
        input: { stepInstanceId: StepInstanceId; attemptId: Parameters<Store['read']['findAttempt']>[0] },
        hostId: HostId,
      ) =>
        await store.write.createSandboxEntry({
          ...proof,
          id: toId('sandbox', test_.clock.now(), bytes(16)),
          hostId,
          driver: 'fake',
          ...input,
        })

      test('P4: at most one live sandbox per step instance', async () => {
        const host = await register()
        const { instance, attempt } = await beginAttempt(store, proof)
        const input = { stepInstanceId: instance.id, attemptId: attempt.id }
        const first = await createEntry(input, host.id)
        expect(first.status).toBe('creating')
        for (const status of ['ready', 'stopping'] as const) {
          await expect(createEntry(input, host.id)).rejects.toMatchObject({ code: 'conflict' })
          await store.write.markSandbox({ sandboxId: first.id, status })
        }
        await expect(createEntry(input, host.id)).rejects.toMatchObject({ code: 'conflict' })
        await store.write.markSandbox({ sandboxId: first.id, status: 'gone' })
        const second = await createEntry(input, host.id)
        const ids = async (filter: Parameters<Store['read']['listSandboxEntries']>[0]) =>
          (await store.read.listSandboxEntries(filter)).map(({ id }) => id)
        expect(await ids({ isLive: true })).toEqual([second.id])
        expect(await ids({ hostId: host.id, isLive: false })).toEqual([first.id])
        expect((await ids({ runId: proof.runId })).toSorted()).toEqual([first.id, second.id].toSorted())
      })

      test('U4: every move of a sandbox is in the table or refused; the same status again changes nothing', async () => {
        const host = await register()
        const ways: Record<SandboxStatus, readonly ('ready' | 'stopping' | 'gone' | 'lost')[]> = {
          creating: [],
          ready: ['ready'],
          stopping: ['stopping'],
          gone: ['gone'],
          lost: ['lost'],
        }
        for (const from of listStatuses('sandbox')) {
          for (const to of ['ready', 'stopping', 'gone', 'lost'] as const) {
            const { instance, attempt } = await beginAttempt(store, proof, `${from}-${to}`)
            const { id: sandboxId } = await createEntry(
              { stepInstanceId: instance.id, attemptId: attempt.id },
              host.id,
            )
            for (const status of ways[from]) await store.write.markSandbox({ sandboxId, status })
            const before = await dump(test_)
            const moves: readonly string[] = TRANSITIONS.sandbox[from]
            const marked = store.write.markSandbox({ sandboxId, status: to, reason: 'sandbox_lost' })
            if (moves.includes(to)) {
              await marked
              const entries = await store.read.listSandboxEntries({ runId: proof.runId })
              expect(entries.find(({ id }) => id === sandboxId)).toMatchObject({
                status: to,
                reason: 'sandbox_lost',
              })
              continue
            }
            // What is known to be gone is not lost; to say so changes nothing.
            if (from === to || (from === 'gone' && to === 'lost')) await marked
            else await expect(marked).rejects.toMatchObject({ code: 'illegal_transition' })
            expect(await dump(test_)).toBe(before)
          }
        }
        await expect(
          store.write.markSandbox({ sandboxId: 'sbx_none' as SandboxId, status: 'gone' }),
        ).rejects.toMatchObject({ code: 'not_found' })
      })
    })

    describe('records', () => {
      test('the same agent or workflow again is the one that is there; other content needs a new version', async () => {
        const agent = {
          name: 'echo',
          version: '1.0.0',
          manifest: { runtime: 'node' },
          path: '/agents/echo',
          digest: 'd1',
          source: 'shipped',
          actor: 'test',
        } as const
        const first = await store.write.registerAgent(agent)
        expect(await store.write.registerAgent(agent)).toEqual(first)
        await expect(store.write.registerAgent({ ...agent, digest: 'd2' })).rejects.toMatchObject({
          code: 'conflict',
        })
        for (const version of ['1.10.0', '1.9.0', '1.10.0-beta', '0.9.9']) {
          await store.write.registerAgent({ ...agent, version })
        }
        expect((await store.read.findAgent({ name: 'echo' }))?.version).toBe('1.10.0')
        expect((await store.read.findAgent({ name: 'echo', version: '1.9.0' }))?.version).toBe('1.9.0')
        expect(await store.read.findAgent({ name: 'none' })).toBeUndefined()
        expect((await store.read.listAgents()).map(({ version }) => version)).toEqual([
          '0.9.9',
          '1.0.0',
          '1.9.0',
          '1.10.0-beta',
          '1.10.0',
        ])
      })

      test('workflows likewise', async () => {
        const again = await registerTestWorkflow(store)
        expect(await store.read.findWorkflow({ workflowId: again.id })).toEqual(again)
        expect(await store.read.findWorkflow({ name: 'linear' })).toEqual(again)
        expect(await store.read.listWorkflows()).toEqual([again])
        const { id, createdAt, ...record } = again
        await expect(
          store.write.registerWorkflow({ ...record, digest: 'other', actor: 'test' }),
        ).rejects.toMatchObject({ code: 'conflict' })
        expect([id, createdAt]).not.toContain(undefined)
      })

      test('a host keeps its row over starts, with a new holder each', async () => {
        const input = { name: 'box', pid: 1, bootId: 'b', slotCount: 4 }
        const first = await store.write.registerHost({ ...input, holder: 'box/1' })
        await store.write.stopHost({ hostId: first.id })
        expect(await store.read.listHosts()).toMatchObject([{ stoppedAt: test_.clock.now() }])
        test_.clock.advance(10)
        const second = await store.write.registerHost({ ...input, holder: 'box/2', pid: 2 })
        expect(second).toMatchObject({ id: first.id, holder: 'box/2', pid: 2, stoppedAt: null })
        test_.clock.advance(10)
        await store.write.touchHost({ hostId: second.id })
        expect(await store.read.listHosts()).toMatchObject([
          { lastSeenAt: test_.clock.now(), startedAt: test_.clock.now() - 10 },
        ])
        for (const call of [store.write.touchHost, store.write.stopHost]) {
          await expect(call({ hostId: 'hst_none' as HostId })).rejects.toMatchObject({ code: 'not_found' })
        }
      })

      test('a token is found by its hash, used, and revoked for good', async () => {
        const token = await store.write.createToken({
          name: 'ci',
          scopes: ['read', 'tickets'],
          expiresAt: 5,
          secretHash: 'abc',
          actor: 'ann',
        })
        expect(await store.read.findTokenByHash('abc')).toEqual(token)
        expect(await store.read.findTokenByHash('abd')).toBeUndefined()
        await store.write.touchToken({ tokenId: token.id })
        await store.write.revokeToken({ tokenId: token.id, actor: 'ann' })
        expect(await store.read.findTokenByHash('abc')).toMatchObject({
          lastUsedAt: test_.clock.now(),
          revokedAt: test_.clock.now(),
        })
        const before = await dump(test_)
        test_.clock.advance(1)
        await store.write.revokeToken({ tokenId: token.id, actor: 'bob' })
        expect(await dump(test_)).toBe(before)
        await expect(
          store.write.revokeToken({ tokenId: 'tok_none' as TokenId, actor: 'bob' }),
        ).rejects.toMatchObject({ code: 'not_found' })
        await expect(
          store.write.createToken({
            name: 'x',
            scopes: [],
            expiresAt: null,
            secretHash: 'abc',
            actor: 'ann',
          }),
        ).rejects.toMatchObject({ code: 'conflict' })
      })

      test('usage, artifacts and audit are added', async () => {
        const { instance } = await beginAttempt(store, proof)
        await store.write.addUsage({
          runId: proof.runId,
          stepInstanceId: instance.id,
          attempt: 1,
          model: 'm',
          inputTokenCount: 10,
          outputTokenCount: 20,
          costMicroUsd: 3,
          durationMs: 4,
        })
        expect(await store.read.listUsage(proof.runId)).toMatchObject([
          { costMicroUsd: 3, createdAt: test_.clock.now() },
        ])
        const artifact = await store.write.addArtifact({
          ...proof,
          stepInstanceId: instance.id,
          attempt: 1,
          name: 'report',
          path: 'r',
          byteCount: 1,
          sha256: '0'.repeat(64),
        })
        expect(await store.read.listArtifacts(proof.runId)).toEqual([artifact])
        await store.write.addAudit({ actor: 'ann', action: 'token.create', subject: 'ci', data: { a: 1 } })
        expect(await dump(test_)).toContain('token.create')
      })
    })
  })
}
