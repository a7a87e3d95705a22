import type { Json, JsonObject } from '../domain/json.ts'
import type { Reason } from '../domain/reason.ts'
import { sortByNeeds } from './check-graph.ts'
import type { Decision, PlanLimits } from './decision.ts'
import { resolveValue, type Scope } from './expression.ts'
import { resolveStep } from './resolve-step.ts'
import type { RunState, StepInstanceState } from './run-state.ts'
import { decideForEach, type Gate, openGate, openInstanceGate } from './step-gate.ts'
import { type StepEnd, StepProgress } from './step-progress.ts'
import { type Step, takesSlot, type Workflow } from './workflow.ts'

/**
 * What to do next in a run: everything that what is known allows, in the order in which to do it. Pure: the same
 * arguments give the same decisions, whoever asks and however often. Plan again after every change of the run,
 * when slots become free, and at `wait-until`. An empty plan means: wait for what is running or for a slot.
 *
 * The rules, in the order in which they apply:
 *
 * 1. A plain step has its one instance from the first plan on; a `for-each` step is fanned out when its needs
 *    have ended. A list that is empty makes it succeed without an instance.
 * 2. A step is looked at when all its needs have ended. A need went well when it succeeded, or when it failed
 *    with `on-failure: continue`. With a need that did not go well the step is skipped, unless its condition
 *    names that need's `status` or says `always`. Then the condition decides.
 * 3. A failure with `on-failure: fail` dooms the run: nothing starts any more, what waits is canceled, what has
 *    not begun is skipped, and the run ends when the last running instance has.
 * 4. The run fails when any step failed without `on-failure: continue`, else it succeeds.
 */
export function plan(workflow: Workflow, state: RunState, limits: PlanLimits): readonly Decision[] {
  return new Planner(workflow, state, limits).plan()
}

class Planner {
  readonly #workflow: Workflow
  readonly #state: RunState
  readonly #limits: PlanLimits
  readonly #progress: StepProgress
  readonly #decisions: Decision[] = []

  constructor(workflow: Workflow, state: RunState, limits: PlanLimits) {
    this.#workflow = workflow
    this.#state = state
    this.#limits = limits
    this.#progress = new StepProgress(workflow, state)
  }

  plan(): readonly Decision[] {
    this.#createPlainInstances()
    if (this.#isDoomed()) return this.#doom('step_failed')
    const sorted = sortByNeeds(this.#workflow.steps)
    // Each round but the last ends at least one instance, so there are no more rounds than instances.
    for (;;) {
      for (const step of sorted) this.#settle(step)
      if (this.#isDoomed()) return this.#doom('step_failed')
      const round = this.#planStarts()
      if (this.#isDoomed()) return this.#doom('step_failed')
      if (round.hasFailed) continue
      return this.#conclude(round)
    }
  }

  #createPlainInstances(): void {
    for (const step of this.#workflow.steps) {
      if (step.forEach === undefined && this.#progress.listInstances(step.id).length === 0)
        this.#createOne(step)
    }
  }

  #createOne(step: Step): void {
    this.#create(step, [{ index: null, item: null }])
  }

  #create(step: Step, instances: readonly { readonly index: number | null; readonly item: Json }[]): void {
    this.#decisions.push({ kind: 'create-instances', stepId: step.id, instances })
    this.#progress.add(step.id, instances)
  }

  /** Ends what can be ended without running anything; fans out. */
  #settle(step: Step): void {
    const instances = this.#progress.listInstances(step.id)
    const untouched = listUntouched(instances)
    const isFannedOut = step.forEach === undefined || instances.length > 0
    if (this.#progress.findEnd(step) !== undefined || (isFannedOut && untouched.length === 0)) return
    const gate = openGate(step, this.#scope(step), this.#listNeedEnds(step))
    if (gate.kind === 'skip' || gate.kind === 'fail') this.#endAll(step, gate)
    if (gate.kind !== 'open') return
    if (!isFannedOut && !this.#fanOut(step)) return
    for (const instance of listUntouched(this.#progress.listInstances(step.id))) {
      const instanceGate = openInstanceGate(step, instance, this.#scope(step, instance))
      if (instanceGate.kind !== 'open') this.#end(instance, instanceGate)
    }
  }

  /** False when there is nothing to run. */
  #fanOut(step: Step): boolean {
    const fan = decideForEach(step, this.#scope(step))
    if (fan.kind === 'fail') {
      this.#endAll(step, fan)
      return false
    }
    if (fan.items.length === 0) {
      this.#progress.markEmpty(step.id)
      return false
    }
    this.#create(
      step,
      fan.items.map((item, index) => ({ index, item })),
    )
    return true
  }

  #endAll(step: Step, gate: Gate & { readonly kind: 'skip' | 'fail' }): void {
    if (this.#progress.listInstances(step.id).length === 0) this.#createOne(step)
    for (const instance of listUntouched(this.#progress.listInstances(step.id))) this.#end(instance, gate)
  }

  #end(instance: StepInstanceState, gate: Gate): void {
    const { stepId, index } = instance
    if (gate.kind === 'skip') {
      this.#decisions.push({ kind: 'skip', stepId, index, reason: gate.reason })
      this.#progress.end(instance, 'skipped', gate.reason)
    } else if (gate.kind === 'fail') {
      const { reason, message } = gate
      this.#decisions.push({ kind: 'fail-instance', stepId, index, reason, message })
      this.#progress.end(instance, 'failed', reason)
    }
  }

  /** What may start now, in the order of the workflow. Instances that cannot even start fail here. */
  #planStarts(): Round {
    const starts: Decision[] = []
    let hasFailed = false
    let readyCount = 0
    let wakeAt = Number.POSITIVE_INFINITY
    let slots = Math.min(toCount(this.#limits.slots), this.#countFreeParallel())
    for (const step of this.#workflow.steps) {
      if (!this.#areNeedsOver(step)) continue
      let room =
        (step.maxParallel ?? Number.POSITIVE_INFINITY) - this.#progress.count(step.id, ['running', 'waiting'])
      for (const instance of this.#progress.listInstances(step.id)) {
        if (instance.status !== 'pending') continue
        readyCount++
        const notBefore = toInstant(instance.notBefore)
        if (notBefore > this.#limits.now) {
          wakeAt = Math.min(wakeAt, notBefore)
          continue
        }
        if (room < 1 || (takesSlot(step) && slots < 1)) continue
        const resolved = resolveStep(step, this.#scope(step, instance))
        if (!resolved.ok) {
          hasFailed = true
          this.#end(instance, { kind: 'fail', reason: resolved.reason, message: resolved.message })
          continue
        }
        room--
        if (takesSlot(step)) slots--
        starts.push({ kind: 'start', stepId: step.id, index: instance.index, work: resolved.work })
      }
    }
    return { starts, hasFailed, readyCount, wakeAt }
  }

  #conclude({ starts, readyCount, wakeAt }: Round): readonly Decision[] {
    const ends = this.#workflow.steps.map((step) => this.#progress.findEnd(step))
    if (ends.every((end) => end !== undefined)) return [...this.#decisions, this.#finish()]
    const isUnderWay = this.#workflow.steps.some(
      (step) => this.#progress.count(step.id, ['running', 'waiting']) > 0,
    )
    // Not reached with a checked workflow: steps that need each other would wait for ever.
    if (!isUnderWay && readyCount === 0) return this.#doom('workflow_invalid')
    const wakes: Decision[] = Number.isFinite(wakeAt) ? [{ kind: 'wait-until', at: wakeAt }] : []
    return [...this.#decisions, ...starts, ...wakes]
  }

  #isDoomed(): boolean {
    return this.#workflow.steps.some(
      (step) => step.onFailure === 'fail' && this.#progress.count(step.id, ['failed', 'canceled']) > 0,
    )
  }

  /** Lets go of everything but what is running. */
  #doom(reason: Reason): readonly Decision[] {
    for (const step of this.#workflow.steps) {
      if (this.#progress.findEnd(step) !== undefined) continue
      if (this.#progress.listInstances(step.id).length === 0) this.#createOne(step)
      for (const instance of this.#progress.listInstances(step.id)) {
        const { stepId, index } = instance
        const isUntouched = instance.status === 'pending' && instance.attemptCount === 0
        if (isUntouched) this.#end(instance, { kind: 'skip', reason })
        else if (instance.status === 'pending' || instance.status === 'waiting') {
          this.#decisions.push({ kind: 'cancel-instance', stepId, index, reason })
          this.#progress.end(instance, 'canceled', reason)
        }
      }
    }
    const isOver = this.#workflow.steps.every((step) => this.#progress.findEnd(step) !== undefined)
    return isOver ? [...this.#decisions, this.#finish(reason)] : this.#decisions
  }

  #finish(doom?: Reason): Decision {
    const failed = this.#findFailure()
    if (failed !== undefined) {
      const where = failed.index === null ? failed.stepId : `${failed.stepId}[${failed.index}]`
      const reason = failed.reason ?? 'step_failed'
      return {
        kind: 'finish',
        status: 'failed',
        reason,
        message: `the step ${where} failed`,
        outputs: this.#outputs().outputs,
      }
    }
    if (doom !== undefined) {
      const message = 'the steps that are left wait for each other'
      return { kind: 'finish', status: 'failed', reason: doom, message, outputs: this.#outputs().outputs }
    }
    const { outputs, problem } = this.#outputs()
    if (problem === undefined) return { kind: 'finish', status: 'succeeded', outputs }
    return { kind: 'finish', status: 'failed', reason: 'reference_unresolved', message: problem, outputs }
  }

  /** The first instance, in the workflow's order, whose failure is the run's; a doomed run's canceled ones are not. */
  #findFailure(): StepInstanceState | undefined {
    const candidates = this.#workflow.steps.filter((step) => step.onFailure !== 'continue')
    const instances = candidates.flatMap((step) => this.#progress.listInstances(step.id))
    return (
      instances.find(({ status }) => status === 'failed') ??
      instances.find(({ status, reason }) => status === 'canceled' && reason !== 'step_failed')
    )
  }

  /** What the run gives back. What a step that did not succeed would have given is `null`. */
  #outputs(): { readonly outputs: JsonObject; readonly problem?: string } {
    if (this.#workflow.outputs === undefined) return { outputs: this.#lastOutputs() }
    const outputs: [string, Json][] = []
    let problem: string | undefined
    for (const [name, value] of Object.entries(this.#workflow.outputs)) {
      const resolved = resolveValue(value, this.#scope())
      outputs.push([name, resolved.ok ? resolved.value : null])
      if (resolved.ok) continue
      const [root, stepId] = resolved.problem.reference?.path ?? []
      const step = this.#workflow.steps.find(({ id }) => root === 'steps' && id === stepId)
      const end = step && this.#progress.findEnd(step)
      if (end === undefined || end.status === 'succeeded')
        problem ??= `outputs.${name}: ${resolved.problem.message}`
    }
    return { outputs: Object.fromEntries(outputs), ...(problem === undefined ? {} : { problem }) }
  }

  #lastOutputs(): JsonObject {
    const needed = new Set(this.#workflow.steps.flatMap((step) => step.needs))
    const last = this.#workflow.steps.filter((step) => !needed.has(step.id))
    return Object.fromEntries(last.map((step) => [step.id, this.#progress.findEnd(step)?.outputs ?? null]))
  }

  #countFreeParallel(): number {
    const running = this.#workflow.steps
      .filter(takesSlot)
      .map((step) => this.#progress.count(step.id, ['running']))
    const runningCount = running.reduce((sum, count) => sum + count, 0)
    return (this.#workflow.limits.parallel ?? Number.POSITIVE_INFINITY) - runningCount
  }

  #areNeedsOver(step: Step): boolean {
    return this.#listNeedEnds(step).every(({ end }) => end !== undefined)
  }

  #listNeedEnds(step: Step): readonly { readonly need: Step; readonly end: StepEnd | undefined }[] {
    const needs = this.#workflow.steps.filter(({ id }) => step.needs.includes(id))
    const ends = needs.map((need) => ({ need, end: this.#progress.findEnd(need) }))
    // A need that does not exist never ends; a checked workflow has none.
    return needs.length === step.needs.length ? ends : [...ends, { need: step, end: undefined }]
  }

  #scope(step?: Step, instance?: StepInstanceState): Scope {
    const { inputs, ticket, project, run } = this.#state
    const scope: Scope = { inputs, ticket, project, run, steps: () => this.#listEnds() }
    if (step?.forEach === undefined || instance === undefined || instance.index === null) return scope
    return { ...scope, item: instance.item ?? null, index: instance.index }
  }

  #listEnds(): JsonObject {
    const ends = this.#workflow.steps.map((step) => [step.id, this.#progress.findEnd(step)] as const)
    return Object.fromEntries(ends.filter((entry): entry is [string, StepEnd] => entry[1] !== undefined))
  }
}

type Round = {
  readonly starts: readonly Decision[]
  readonly hasFailed: boolean
  /** Pending instances whose needs have ended, whether or not there is room for them */
  readonly readyCount: number
  /** Earliest instant at which one more may start, `ms` since the epoch; infinite when there is none */
  readonly wakeAt: number
}

/** Instances that no attempt has begun for. */
function listUntouched(instances: readonly StepInstanceState[]): readonly StepInstanceState[] {
  return instances.filter(({ status, attemptCount }) => status === 'pending' && attemptCount === 0)
}

/** No number is none. */
function toCount(slots: number): number {
  return slots >= 1 ? slots : 0
}

function toInstant(notBefore: number | null | undefined): number {
  return Number.isFinite(notBefore) ? (notBefore ?? 0) : 0
}
