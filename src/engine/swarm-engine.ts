import type { SwarmEvent } from '../domain/event.ts'
import type { RunId } from '../domain/id.ts'
import type { LeaseProof } from '../domain/run.ts'
import { HostSlots } from './host-slots.ts'
import { LiveSandboxes } from './live-sandboxes.ts'
import type { EngineDeps } from './ports.ts'
import type { RunStopMode } from './run-stop.ts'
import { StepExecutor } from './step-executor.ts'
import { type DriveEnd, WorkflowDispatcher } from './workflow-dispatcher.ts'

/**
 * Starts, resumes and cancels runs; the only writer of run state. A run is driven by exactly one dispatcher of one
 * process, under the run's lease.
 */
export class SwarmEngine {
  readonly #deps: EngineDeps
  readonly #sandboxes: LiveSandboxes
  readonly #executor: StepExecutor
  readonly #dispatchers = new Map<RunId, WorkflowDispatcher>()
  readonly slots: HostSlots

  constructor(deps: EngineDeps) {
    this.#deps = deps
    this.#sandboxes = new LiveSandboxes(deps.logger)
    this.#executor = new StepExecutor(this.#sandboxes)
    this.slots = new HostSlots(deps.settings.slotCount)
  }

  /**
   * Drives a translated run until it ends, parks, is released or is stopped.
   * @throws StoreError when the lease is lost or the store fails; the run's sandboxes have ended then
   */
  async drive(proof: LeaseProof): Promise<DriveEnd> {
    if (this.#dispatchers.has(proof.runId)) throw new Error(`run ${proof.runId} is driven here already`)
    const dispatcher = new WorkflowDispatcher({
      deps: this.#deps,
      proof,
      slots: this.slots,
      executor: this.#executor,
    })
    this.#dispatchers.set(proof.runId, dispatcher)
    const unsubscribe = this.#deps.store.subscribe((events) => {
      if (events.some((event) => concerns(event, proof.runId))) dispatcher.wake()
    })
    try {
      return await dispatcher.drive()
    } finally {
      unsubscribe()
      this.#dispatchers.delete(proof.runId)
    }
  }

  /** Stops the run's work in this process, if it is driven here. */
  stop(runId: RunId, mode: RunStopMode): void {
    this.#dispatchers.get(runId)?.stop(mode)
  }

  /** Moves the dead-man deadlines of the run's sandboxes; called after its lease was renewed. */
  async renewDeadman(runId: RunId, deadmanMs: number): Promise<void> {
    await this.#sandboxes.renewDeadman(runId, deadmanMs)
  }

  /** The run's lease is not held here any more. */
  forgetDeadman(runId: RunId): void {
    this.#sandboxes.forget(runId)
  }

  get liveSandboxCount(): number {
    return this.#sandboxes.count
  }
}

const WAKING = new Set(['wait.resolved', 'wait.expired', 'run.cancel_requested', 'signal.received'])

function concerns(event: SwarmEvent, runId: RunId): boolean {
  return event.runId === runId && WAKING.has(event.type)
}
