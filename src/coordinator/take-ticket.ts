import { toMark } from '../domain/external-ref.ts'
import type { TicketId } from '../domain/id.ts'
import type { Reason } from '../domain/reason.ts'
import { type RetryPolicy, retryDelayMs } from '../domain/retry.ts'
import type { LeaseProof } from '../domain/run.ts'
import type { TrackerCatalogue } from '../engine/ports.ts'
import { untilRecorded } from '../engine/until-recorded.ts'
import { toFailure } from '../engine/write-back-ticket.ts'
import type { Logger } from '../platform/log.ts'
import type { Claim, RunOutcome, Store } from '../store/contract.ts'
import { LeaseLostError } from '../store/errors.ts'
import { type TakeResult, TrackerError } from '../tracker/contract.ts'

export type TakeDeps = {
  readonly store: Store
  readonly trackers: TrackerCatalogue
  readonly logger: Logger
  /** From 0 to below 1 */
  randomNumber(): number
}

/** `left`: the claim is over, and recorded with its reason: ended, or put back into the queue */
export type TakeEnd = { readonly kind: 'taken' } | { readonly kind: 'left'; readonly detail: string }

const TAKE_TIMEOUT_MS = 60_000

/** Waiting for a tracker is not failing: it is asked again for as long as it takes. */
const WAIT: RetryPolicy = {
  attemptCountMax: Number.POSITIVE_INFINITY,
  backoffMs: 1_000,
  backoffMaxMs: 60_000,
  on: ['infrastructure'],
}

/**
 * Takes a claimed ticket in the tracker that it was mirrored from, before anything is done for it: claimed here
 * first, so of all of us one asks; compared and set there, so of all others and us one gets it. Repeated with every
 * claim of the ticket, so a process that died between the two halves is made good by the next one.
 */
export async function takeTicket(
  deps: TakeDeps,
  claim: Claim,
  proof: LeaseProof,
  signal: AbortSignal,
): Promise<TakeEnd> {
  const { ticket, run } = claim
  // A child run is of a run that has taken it; one that is to end needs nothing from there any more.
  const isTaken = run.parentStepInstanceId !== null || run.cancelRequestedAt !== null
  if (ticket.tracker === null || isTaken) return { kind: 'taken' }
  const write = new TakeWriter(deps, claim, proof, signal)
  const tracker = deps.trackers.find(ticket.tracker)
  // Before the reference is read: what is told meanwhile would be taken for somebody else's word.
  if (run.workflowId === null && (await isBeingTold(deps.store, ticket.id))) {
    const detail = `how it ended before is still being told to tracker ${ticket.tracker}`
    return await write.wait('waiting_for_effect', detail)
  }
  const ref = await deps.store.read.findExternalRef({ ticketId: ticket.id })
  if (tracker === undefined || ref === undefined) {
    const detail = `tracker ${ticket.tracker} is not configured: add it under "trackers" in the configuration`
    // One that was begun there is told once the tracker is back; the others were never ours.
    return await write.fail(ref?.standing === 'ours' ? 'tracker_failed' : 'tracker_refused', detail)
  }
  await assertHeld(deps.store, proof)
  const lastWord = ref.standing === 'ours' ? ref.word : null
  const limit = AbortSignal.timeout(TAKE_TIMEOUT_MS)
  let result: TakeResult
  try {
    const { externalId } = ref
    const input = { externalId, mark: toMark(ticket.id), lastWord }
    result = await tracker.take(input, AbortSignal.any([signal, limit]))
  } catch (error) {
    signal.throwIfAborted()
    if (limit.aborted) return await write.wait('tracker_failed', `tracker ${tracker.name} did not answer`)
    if (!(error instanceof TrackerError)) throw error
    const { reason, detail } = toFailure(error)
    return reason === 'tracker_failed' ? await write.wait(reason, detail) : await write.fail(reason, detail)
  }
  switch (result.kind) {
    case 'taken':
      return await write.record(result.word)
    case 'lost':
      return await write.lose(result.word, toLostDetail(tracker.name, result))
    case 'absent':
      // Whether that means anything is for the mirror to say, which looks more than once.
      return await write.wait('gone_from_tracker', `it is not in tracker ${tracker.name} at the moment`)
  }
}

/** Whether an end of the ticket, before a person put it back, is not yet in its tracker. */
async function isBeingTold({ read }: Store, ticketId: TicketId): Promise<boolean> {
  const unsent = await read.listEffects({ ticketId, statuses: ['pending', 'sending'] })
  return unsent.some(({ kind }) => kind === 'write_back_ticket')
}

/**
 * After the reference was read: a process that was frozen may have read what others wrote since, and would take a
 * ticket that they have ended. What changes after this look, the tracker's own comparison sees.
 */
async function assertHeld({ read }: Store, { runId, holder, epoch }: LeaseProof): Promise<void> {
  const run = await read.findRun(runId)
  const isHeld = run?.status === 'running' && run.lease.holder === holder && run.lease.epoch === epoch
  if (!isHeld) throw new LeaseLostError(runId, epoch)
}

const BY_CHARS_MAX = 200

function toLostDetail(name: string, { word, by }: Extract<TakeResult, { kind: 'lost' }>): string {
  const who = by === null ? '' : `, taken by ${JSON.stringify(by.slice(0, BY_CHARS_MAX))}`
  return `it stands as ${JSON.stringify(word)} in tracker ${name}${who}`
}

/** The ways in which a take ends, each recorded before it is said. */
class TakeWriter {
  readonly #deps: TakeDeps
  readonly #claim: Claim
  readonly #proof: LeaseProof
  readonly #signal: AbortSignal

  constructor(deps: TakeDeps, claim: Claim, proof: LeaseProof, signal: AbortSignal) {
    this.#deps = deps
    this.#claim = claim
    this.#proof = proof
    this.#signal = signal
  }

  async record(word: string): Promise<TakeEnd> {
    const { store } = this.#deps
    await this.#until(() => store.write.recordTake({ ...this.#proof, word }))
    return { kind: 'taken' }
  }

  async lose(seenWord: string, detail: string): Promise<TakeEnd> {
    return await this.#finish({ status: 'canceled', reason: 'taken_elsewhere', detail, seenWord })
  }

  async fail(reason: Reason, detail: string): Promise<TakeEnd> {
    return await this.#finish({ status: 'failed', reason, detail, ticket: { kind: 'fail' } })
  }

  /** Gives the slot back until a while later. */
  async wait(reason: Reason, detail: string): Promise<TakeEnd> {
    const { store, logger, randomNumber } = this.#deps
    const { run, ticket } = this.#claim
    const attempt = Math.max(1, run.lease.epoch, ticket.runCount)
    const notBefore = store.now() + retryDelayMs(WAIT, attempt, randomNumber())
    logger.warn({ reason, detail, notBefore }, 'ticket not taken in its tracker; it is tried again')
    await this.#until(() => store.write.releaseRun({ ...this.#proof, reason, detail, notBefore }))
    return { kind: 'left', detail }
  }

  async #finish(outcome: Extract<RunOutcome, { detail: string }>): Promise<TakeEnd> {
    const { store, logger } = this.#deps
    logger.info({ reason: outcome.reason, detail: outcome.detail }, 'ticket not taken in its tracker')
    await this.#until(() => store.write.finishRun({ ...this.#proof, outcome }))
    return { kind: 'left', detail: outcome.detail }
  }

  async #until(write: () => Promise<unknown>): Promise<void> {
    await untilRecorded(write, { signal: this.#signal, logger: this.#deps.logger })
  }
}
