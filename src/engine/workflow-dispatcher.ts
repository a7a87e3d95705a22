import type { StepInstanceId } from '../domain/id.ts'
import type { JsonObject } from '../domain/json.ts'
import type { Reason } from '../domain/reason.ts'
import type { LeaseProof } from '../domain/run.ts'
import { type Attempt, type StepInstance, toInstanceKey } from '../domain/step.ts'
import type { Logger } from '../platform/log.ts'
import type { RunState } from '../store/contract.ts'
import { StoreError } from '../store/errors.ts'
import type { Decision } from '../workflow/decision.ts'
import { plan } from '../workflow/planner.ts'
import type { StepWork } from '../workflow/step-work.ts'
import type { Step, Workflow } from '../workflow/workflow.ts'
import { type AttemptContext, isSandboxWork } from './attempt-context.ts'
import { AttemptFailure, toAttemptFailure } from './attempt-failure.ts'
import { Bell } from './bell.ts'
import { decideBase } from './decide-base.ts'
import type { HostSlots } from './host-slots.ts'
import { loadWorkflow } from './load-workflow.ts'
import { openStepWait } from './open-step-wait.ts'
import type { EngineDeps } from './ports.ts'
import { recordFailure } from './record-failure.ts'
import { findStopMode, RunStop, type RunStopMode } from './run-stop.ts'
import type { StepExecutor } from './step-executor.ts'
import { toPlannerState } from './to-planner-state.ts'
import { toFailedOutcome, toSucceededOutcome } from './to-run-outcome.ts'
import { isPassing, untilRecorded } from './until-recorded.ts'

/** How driving a run ended; only `finished` ends the run itself. */
export type DriveEnd = 'finished' | 'parked' | 'released' | 'detached' | 'lost'

/** Time that a run with nothing but effects under way keeps its lease before it is parked, `ms` */
const EFFECT_PATIENCE_MS = 15_000
/** A retry or timer due this soon is waited for under the same lease, `ms` */
const SHORT_WAIT_MS = 1_000
/** Safety net: the state is looked at again after this time, whatever rings, `ms` */
const LOOK_AGAIN_MS = 5_000

/**
 * Drives one claimed run: load, decide, apply, again and again. The planner decides; each decision is applied in a
 * transaction of the store that is fenced by the run's lease. Nothing is remembered between two rounds except
 * which attempts are under way in this process.
 */
export class WorkflowDispatcher {
  readonly #deps: EngineDeps
  readonly #proof: LeaseProof
  readonly #slots: HostSlots
  readonly #executor: StepExecutor
  readonly #logger: Logger
  readonly #stop = new AbortController()
  readonly #bell = new Bell()
  readonly #underWay = new Map<StepInstanceId, Promise<void>>()
  #trouble: unknown

  constructor(input: { deps: EngineDeps; proof: LeaseProof; slots: HostSlots; executor: StepExecutor }) {
    this.#deps = input.deps
    this.#proof = input.proof
    this.#slots = input.slots
    this.#executor = input.executor
    this.#logger = input.deps.logger.child({ runId: input.proof.runId })
  }

  /** Aborted when the run is stopped, with a `RunStop`. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** Something about the run changed in the store. */
  wake(): void {
    this.#bell.ring()
  }

  /** The first stop counts. */
  stop(mode: RunStopMode): void {
    if (!this.#stop.signal.aborted) this.#stop.abort(new RunStop(mode))
    this.#bell.ring()
  }

  /**
   * @throws StoreError when the store refuses (a lost lease above all); every sandbox of the run has ended then
   */
  async drive(): Promise<DriveEnd> {
    try {
      const end = await this.#driveUntilEnd()
      // A sandbox may still be ending: its run is not left before it has.
      await this.#settle()
      return end
    } catch (error) {
      if (!this.#stop.signal.aborted) this.stop('lease_lost')
      await this.#settle()
      throw error
    }
  }

  async #driveUntilEnd(): Promise<DriveEnd> {
    const state = await this.#load()
    const { workflowId } = state.run
    if (workflowId === null) throw new Error(`run ${state.run.id} was not translated`)
    const loaded = await loadWorkflow(this.#deps.store.read, workflowId)
    if (!loaded.ok) return await this.#fail(state, loaded.detail)
    await this.#resumeAttempts(state, loaded.workflow)
    for (;;) {
      if (this.#trouble !== undefined) throw this.#trouble
      const mode = findStopMode(this.signal)
      if (mode !== undefined) return await this.#end(mode)
      try {
        const end = await this.#round(loaded.workflow)
        if (end !== undefined) return end
      } catch (error) {
        await this.#bear(error)
      }
    }
  }

  /** A round that was stopped, or that the store had no room for, is followed by another one; anything else ends it. */
  async #bear(error: unknown): Promise<void> {
    if (isPassing(error)) {
      this.#logger.warn({ err: error }, 'store in trouble; the run is looked at again')
      await this.#bell.wait({ timeoutMs: SHORT_WAIT_MS })
    } else if (error instanceof StoreError || !this.signal.aborted) throw error
  }

  /** One load, decide, apply; `undefined`: another round follows. */
  async #round(workflow: Workflow): Promise<DriveEnd | undefined> {
    const state = await this.#load()
    if (state.run.cancelRequestedAt !== null) {
      this.stop('cancel')
      return undefined
    }
    const limits = { now: this.#deps.store.now(), slots: this.#slots.availableFor(state.run.id) }
    const decisions = plan(workflow, toPlannerState(state), limits)
    const known = await this.#createInstances(decisions, state, workflow)
    for (const decision of decisions) {
      if (decision.kind === 'wait-until' || decision.kind === 'create-instances') continue
      if (await this.#apply(decision, known, workflow)) return 'finished'
    }
    if (decisions.some((decision) => decision.kind !== 'wait-until')) return undefined
    return await this.#wait(state, findDueAt(decisions))
  }

  /** Nothing can start now: wait for what is under way, or give the lease back. */
  async #wait(state: RunState, dueAt: number | undefined): Promise<DriveEnd | undefined> {
    const inMs = dueAt === undefined ? LOOK_AGAIN_MS : Math.max(1, dueAt - this.#deps.store.now())
    if (this.#underWay.size > 0) {
      await this.#bell.wait({ timeoutMs: Math.min(inMs, LOOK_AGAIN_MS) })
      return undefined
    }
    const { write } = this.#deps.store
    const waits = state.openWaits
    if (dueAt !== undefined && inMs <= SHORT_WAIT_MS) {
      await this.#bell.wait({ timeoutMs: inMs })
      return undefined
    }
    const since = Math.max(0, ...waits.map((wait) => wait.createdAt))
    const isPatient = waits.length > 0 && waits.every((wait) => wait.kind === 'effect')
    if (isPatient && this.#deps.store.now() - since < EFFECT_PATIENCE_MS) {
      await this.#bell.wait({ timeoutMs: Math.min(inMs, SHORT_WAIT_MS) })
      return undefined
    }
    if (dueAt !== undefined) {
      await write.releaseRun({ ...this.#proof, notBefore: dueAt, openWaitCount: waits.length })
      return 'released'
    }
    if (waits.length > 0) {
      return (await write.parkRun({ ...this.#proof, openWaitCount: waits.length })) ? 'parked' : undefined
    }
    // A slot of this host is all that is missing.
    await this.#bell.wait({ timeoutMs: SHORT_WAIT_MS })
    return undefined
  }

  /** @returns the state with the new instances in it, which later decisions of the same plan speak of */
  async #createInstances(
    decisions: readonly Decision[],
    state: RunState,
    workflow: Workflow,
  ): Promise<RunState> {
    const wanted = decisions.flatMap((decision) =>
      decision.kind !== 'create-instances'
        ? []
        : decision.instances.map(({ index, item }) => ({
            stepId: decision.stepId,
            index,
            key: toInstanceKey(decision.stepId, index),
            kind: getStep(workflow, decision.stepId).kind,
            item,
          })),
    )
    if (wanted.length === 0) return state
    const created = await this.#deps.store.write.createStepInstances({ ...this.#proof, instances: wanted })
    return { ...state, instances: [...state.instances, ...created] }
  }

  /** @returns whether the run is finished */
  async #apply(
    decision: Exclude<Decision, { kind: 'wait-until' | 'create-instances' }>,
    state: RunState,
    workflow: Workflow,
  ): Promise<boolean> {
    const { write } = this.#deps.store
    switch (decision.kind) {
      case 'start':
        await this.#start(findInstance(state, decision), decision.work, state, workflow)
        return false
      case 'skip':
        await this.#endInstance(state, decision, 'skipped', decision.reason)
        return false
      case 'fail-instance':
        await this.#endInstance(state, decision, 'failed', decision.reason, decision.message)
        return false
      case 'cancel-instance':
        await this.#endInstance(state, decision, 'canceled', decision.reason)
        return false
      case 'finish': {
        // Loaded again for a failure: the step that failed may have done so a moment ago, by this very plan.
        const outcome =
          decision.status === 'succeeded'
            ? toSucceededOutcome(state, workflow, decision.outputs)
            : toFailedOutcome(this.#deps, await this.#load(), decision)
        await write.finishRun({ ...this.#proof, outcome })
        return true
      }
    }
  }

  async #endInstance(
    state: RunState,
    decision: { stepId: string; index: number | null },
    status: 'failed' | 'skipped' | 'canceled',
    reason: Extract<Decision, { kind: 'skip' }>['reason'],
    detail?: string,
  ): Promise<void> {
    await this.#deps.store.write.endStepInstance({
      ...this.#proof,
      stepInstanceId: findInstance(state, decision).id,
      status,
      reason,
      ...(detail === undefined ? {} : { detail }),
    })
  }

  /**
   * What goes wrong before an attempt has begun is an attempt that failed: it is counted, so that it cannot repeat
   * for ever, and tried again by the same rules.
   */
  async #start(instance: StepInstance, work: StepWork, state: RunState, workflow: Workflow): Promise<void> {
    // Its attempt before may have been recorded already while its sandbox is still ending.
    await this.#underWay.get(instance.id)
    const opening = { deps: this.#deps, proof: this.#proof, state, workflow, instance, signal: this.signal }
    try {
      if (!isSandboxWork(work)) return await openStepWait(work, opening)
      const base = await decideBase(work, opening)
      if (base.kind === 'refused') return await this.#refuse(instance, base)
      const attempt = await this.#startAttempt(instance, work, base.commit)
      this.#execute({ ...this.#toContext({ state, workflow, instance, attempt }), work })
    } catch (error) {
      if (error instanceof StoreError || this.signal.aborted) throw error
      const attempt = await this.#startAttempt(instance, work, null)
      const context = this.#toContext({ state, workflow, instance, attempt })
      await recordFailure(context, toAttemptFailure(error, context.logger))
    }
  }

  async #refuse(
    instance: StepInstance,
    { reason, detail }: { reason: Reason; detail: string },
  ): Promise<void> {
    const { write } = this.#deps.store
    await write.endStepInstance({
      ...this.#proof,
      stepInstanceId: instance.id,
      status: 'failed',
      reason,
      detail,
    })
  }

  async #startAttempt(instance: StepInstance, work: StepWork, baseCommit: string | null): Promise<Attempt> {
    return await this.#deps.store.write.startAttempt({
      ...this.#proof,
      stepInstanceId: instance.id,
      inputs: work as unknown as JsonObject,
      baseCommit,
    })
  }

  /** Attempts that a process before this one had under way: this is where a crash is survived. */
  async #resumeAttempts(state: RunState, workflow: Workflow): Promise<void> {
    for (const instance of state.instances) {
      if (instance.status !== 'running') continue
      const attempt = state.attempts.find(
        (candidate) => candidate.stepInstanceId === instance.id && candidate.status === 'running',
      )
      if (attempt === undefined || instance.inputs === null) {
        throw new Error(`step ${instance.key} of run ${state.run.id} runs without an attempt`)
      }
      const work = instance.inputs as unknown as StepWork
      const context = this.#toContext({ state, workflow, instance, attempt })
      if (isSandboxWork(work)) this.#execute({ ...context, work })
      // Counted by the process before this one, which ended before it could say why the step did not start.
      else await recordFailure(context, new AttemptFailure('host_gone', 'the step could not be started'))
    }
  }

  #toContext(input: {
    state: RunState
    workflow: Workflow
    instance: StepInstance
    attempt: Attempt
  }): Omit<AttemptContext, 'work'> {
    const { state, workflow, instance, attempt } = input
    return {
      deps: this.#deps,
      proof: this.#proof,
      state,
      workflow,
      step: getStep(workflow, instance.stepId),
      instance,
      attempt,
      logger: this.#logger.child({
        ticketId: state.ticket.id,
        stepId: instance.key,
        attempt: attempt.number,
      }),
    }
  }

  #execute(context: AttemptContext): void {
    const { state, instance } = context
    this.#slots.start(state.run.id)
    const execution = this.#executor
      .execute(context, this.signal)
      .catch((error: unknown) => {
        this.#trouble ??= error
      })
      .finally(() => {
        this.#slots.end(state.run.id)
        this.#underWay.delete(instance.id)
        this.#bell.ring()
      })
    this.#underWay.set(instance.id, execution)
  }

  async #end(mode: RunStopMode): Promise<DriveEnd> {
    await this.#settle()
    if (mode === 'detach') return 'detached'
    if (mode === 'lease_lost') return 'lost'
    if (this.#trouble !== undefined) throw this.#trouble
    await this.#deps.store.write.finishRun({
      ...this.#proof,
      outcome: { status: 'canceled', reason: 'canceled_by_person', detail: 'canceled while it ran' },
    })
    return 'finished'
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#underWay.values())
  }

  async #fail(state: RunState, detail: string): Promise<DriveEnd> {
    const outcome = toFailedOutcome(this.#deps, state, {
      reason: 'workflow_invalid',
      message: detail,
      outputs: {},
    })
    const { signal } = this
    const logger = this.#logger
    await untilRecorded(() => this.#deps.store.write.finishRun({ ...this.#proof, outcome }), {
      signal,
      logger,
    })
    return 'finished'
  }

  async #load(): Promise<RunState> {
    const state = await this.#deps.store.read.loadRunState(this.#proof.runId)
    if (state === undefined) throw new Error(`run ${this.#proof.runId} is not in the store`)
    return state
  }
}

function findDueAt(decisions: readonly Decision[]): number | undefined {
  const due = decisions.flatMap((decision) => (decision.kind === 'wait-until' ? [decision.at] : []))
  return due.length === 0 ? undefined : Math.min(...due)
}

function getStep(workflow: Workflow, stepId: string): Step {
  const step = workflow.steps.find((candidate) => candidate.id === stepId)
  if (step === undefined) throw new Error(`workflow ${workflow.name} has no step ${stepId}`)
  return step
}

function findInstance(
  state: RunState,
  { stepId, index }: { stepId: string; index: number | null },
): StepInstance {
  const instance = state.instances.find(
    (candidate) => candidate.stepId === stepId && candidate.index === index,
  )
  if (instance === undefined)
    throw new Error(`run ${state.run.id} has no instance ${toInstanceKey(stepId, index)}`)
  return instance
}
