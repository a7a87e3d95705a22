import type { RunId } from '../domain/id.ts'
import type { LeaseProof } from '../domain/run.ts'
import { findStopMode, RunStop, type RunStopMode } from '../engine/run-stop.ts'
import type { SwarmEngine } from '../engine/swarm-engine.ts'
import type { Logger } from '../platform/log.ts'
import type { Claim } from '../store/contract.ts'
import { LeaseLostError, StoreError } from '../store/errors.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import { type TakeDeps, takeTicket } from './take-ticket.ts'
import type { Translator } from './translator.ts'

export type ExecutorDeps = {
  readonly engine: SwarmEngine
  readonly translator: Translator
  readonly leases: LeaseKeeper
  /** What a ticket of a tracker is taken with there, before it is translated */
  readonly take: Omit<TakeDeps, 'logger'>
  readonly holder: string
  readonly logger: Logger
}

/** Takes claimed runs through translation and the engine; every held run is one entry here until its lease is gone. */
export class Executor {
  readonly #deps: ExecutorDeps
  readonly #held = new Map<RunId, { done: Promise<void>; translating: AbortController }>()
  #lastCompletionAt: number | null = null
  readonly #onFree: () => void
  readonly #now: () => number

  /** @param onFree called whenever a slot became free */
  constructor(deps: ExecutorDeps, options: { onFree: () => void; now: () => number }) {
    this.#deps = deps
    this.#onFree = options.onFree
    this.#now = options.now
  }

  get heldRunIds(): readonly RunId[] {
    return [...this.#held.keys()]
  }

  /** Instant at which the last held run ended here, `ms` since the epoch */
  get lastCompletionAt(): number | null {
    return this.#lastCompletionAt
  }

  /**
   * Begins at once and returns; the slot is held until the run ended, parked, was released or detached. A run that is
   * still worked on here was lost and claimed anew, by a process that slept longer than its lease: the work under the
   * old epoch ends first.
   */
  start(claim: Claim): void {
    const { run } = claim
    const { engine, leases, holder } = this.#deps
    const proof: LeaseProof = { runId: run.id, holder, epoch: run.lease.epoch }
    const before = this.#held.get(run.id)
    if (before !== undefined) this.stop(run.id, 'lease_lost')
    engine.slots.hold(run.id)
    leases.hold(run.id, run.lease.epoch)
    const translating = new AbortController()
    const done = this.#runAfter(before?.done, claim, proof, translating.signal).finally(() => {
      // The entry of a later claim is that claim's to remove.
      if (this.#held.get(run.id)?.translating !== translating) return
      this.#held.delete(run.id)
      leases.release(run.id)
      engine.slots.release(run.id)
      this.#onFree()
    })
    this.#held.set(run.id, { done, translating })
  }

  async #runAfter(
    before: Promise<void> | undefined,
    claim: Claim,
    proof: LeaseProof,
    signal: AbortSignal,
  ): Promise<void> {
    await before
    await this.#run(claim, proof, signal)
  }

  /** Stops the work on one run here. */
  stop(runId: RunId, mode: RunStopMode): void {
    this.#held.get(runId)?.translating.abort(new RunStop(mode))
    this.#deps.engine.stop(runId, mode)
  }

  /** Resolves when nothing is held any more. */
  async settle(): Promise<void> {
    while (this.#held.size > 0) await Promise.all([...this.#held.values()].map(({ done }) => done))
  }

  async #run(claim: Claim, proof: LeaseProof, signal: AbortSignal): Promise<void> {
    const { engine } = this.#deps
    const logger = this.#deps.logger.child({ ticketId: claim.ticket.id, runId: claim.run.id })
    try {
      logger.info({ ticket: claim.ticket.key, epoch: proof.epoch, kind: claim.kind }, 'run claimed')
      if (!(await this.#prepare(claim, proof, signal, logger))) {
        logger.info({}, 'run ended before there was anything to drive')
        return
      }
      const end = await engine.drive(proof)
      if (end === 'finished') this.#lastCompletionAt = this.#now()
      logger.info({ end }, 'run left')
    } catch (error) {
      if (signal.aborted && !(error instanceof StoreError)) return
      if (error instanceof LeaseLostError) logger.warn({}, 'run given up: somebody else holds it')
      // The lease is left to expire: another attempt begins, by this coordinator or by another one.
      else logger.error({ err: error }, 'run given up because of a mistake or a failing store')
    }
  }

  /**
   * @returns whether there is a run to drive; one that was canceled meanwhile ends here, because nobody drives it,
   * and one that this process has no time for goes back to the queue
   */
  async #prepare(claim: Claim, proof: LeaseProof, signal: AbortSignal, logger: Logger): Promise<boolean> {
    const { translator, take } = this.#deps
    try {
      if (claim.run.cancelRequestedAt !== null && claim.run.workflowId === null) {
        await translator.cancel(proof)
        return false
      }
      const taken = await takeTicket({ ...take, logger }, claim, proof, signal)
      if (taken.kind === 'left') return false
      const isTranslated = await translator.translate(claim, proof, signal)
      if (isTranslated) signal.throwIfAborted()
      return isTranslated
    } catch (error) {
      const mode = findStopMode(signal)
      if (mode === 'cancel') await translator.cancel(proof)
      else if (mode === 'detach') await translator.giveBack(proof)
      else throw error
      return false
    }
  }
}
