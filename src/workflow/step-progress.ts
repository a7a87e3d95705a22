import type { Json } from '../domain/json.ts'
import type { Reason } from '../domain/reason.ts'
import { isTerminal, type StepStatus } from '../domain/status.ts'
import type { RunState, StepInstanceState } from './run-state.ts'
import type { Step, Workflow } from './workflow.ts'

/** A step as its dependents see it: all its instances in one. */
export type StepEnd = {
  readonly status: 'succeeded' | 'failed' | 'skipped' | 'canceled'
  readonly reason: Reason | null
  /** Of a `for-each` step the list of its instances' outputs, `null` where there is none */
  readonly outputs: Json
}

/**
 * The instances of a run while it is planned: decisions change it as they will change the store, so that one
 * plan goes as far as what is known allows.
 */
export class StepProgress {
  readonly #instances = new Map<string, StepInstanceState[]>()
  /** `for-each` steps whose list is empty: succeeded without an instance */
  readonly #empty = new Set<string>()
  readonly #ends = new Map<string, StepEnd | undefined>()

  constructor(workflow: Workflow, state: RunState) {
    const seen = new Set<string>()
    for (const step of workflow.steps) this.#instances.set(step.id, [])
    for (const instance of state.instances) {
      const key = `${instance.stepId}[${instance.index}]`
      if (seen.has(key)) continue
      seen.add(key)
      this.#instances.get(instance.stepId)?.push(instance)
    }
    for (const instances of this.#instances.values()) {
      instances.sort((left, right) => (left.index ?? -1) - (right.index ?? -1))
    }
  }

  listInstances(stepId: string): readonly StepInstanceState[] {
    return this.#instances.get(stepId) ?? []
  }

  count(stepId: string, statuses: readonly StepStatus[]): number {
    return this.listInstances(stepId).filter(({ status }) => statuses.includes(status)).length
  }

  add(stepId: string, instances: readonly { readonly index: number | null; readonly item: Json }[]): void {
    const created = instances.map(
      ({ index, item }): StepInstanceState => ({ stepId, index, item, status: 'pending', attemptCount: 0 }),
    )
    this.#instances.get(stepId)?.push(...created)
    this.#ends.delete(stepId)
  }

  end(instance: StepInstanceState, status: StepEnd['status'], reason: Reason): void {
    const instances = this.#instances.get(instance.stepId) ?? []
    const at = instances.findIndex(({ index }) => index === instance.index)
    if (at !== -1) instances[at] = { ...instance, status, reason }
    this.#ends.delete(instance.stepId)
  }

  markEmpty(stepId: string): void {
    this.#empty.add(stepId)
    this.#ends.delete(stepId)
  }

  /** How the step ended, or `undefined` while it has not. */
  findEnd(step: Step): StepEnd | undefined {
    if (!this.#ends.has(step.id)) {
      this.#ends.set(step.id, toEnd(step, this.listInstances(step.id), this.#empty.has(step.id)))
    }
    return this.#ends.get(step.id)
  }
}

function toEnd(step: Step, instances: readonly StepInstanceState[], isEmpty: boolean): StepEnd | undefined {
  if (instances.length === 0) return isEmpty ? { status: 'succeeded', reason: null, outputs: [] } : undefined
  if (!instances.every(({ status }) => isTerminal('step', status))) return undefined
  const worst =
    instances.find(({ status }) => status === 'failed') ??
    instances.find(({ status }) => status === 'canceled') ??
    instances.find(({ status }) => status === 'succeeded') ??
    instances[0]
  if (worst === undefined) return undefined
  const reason = worst.reason ?? null
  // A for-each step that was never fanned out has one instance without an index, and no list.
  const isList = step.forEach !== undefined && instances.every(({ index }) => index !== null)
  const outputs = isList ? instances.map((instance) => instance.outputs ?? null) : (worst.outputs ?? null)
  return { status: worst.status as StepEnd['status'], reason, outputs }
}
