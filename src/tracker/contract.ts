/**
 * A tracker is a tickets database that another program owns and keeps writing to. Swarm mirrors its open tickets into
 * the store, takes a ticket there before any sandbox starts for it, and writes back what became of it.
 *
 * Rules for every implementation:
 * - What the tracker holds is hostile: sizes are bounded, shapes are checked, and a ticket that cannot be mirrored is
 *   a `TrackerProblem` beside the others, never a reason to lose them.
 * - Nothing is guessed: a name that is missing is reported with the setting that would mend it.
 * - A fetch is all or nothing: a page that cannot be read throws, and what was read before it means nothing.
 * - Nothing blocks the caller's thread. Every method ends at its signal's abort with the signal's reason.
 * - Trouble is a `TrackerError`; its code says whether trying again can help.
 */
import type { JsonObject } from '../domain/json.ts'
import type { TicketStatus } from '../domain/status.ts'

export interface Tracker {
  /** Name in the configuration; external identifiers are unique within it */
  readonly name: string
  /** Names the implementation, for people */
  readonly kind: string
  /** Looks whether tickets can be mirrored, taken and written back. Writes nothing, changes nothing. */
  check(signal: AbortSignal): Promise<TrackerCheck>
  /**
   * One page of the tickets whose state there means one of `states`, in the order of their identifiers.
   * With `unlessRevision` the first page is `unchanged` when nothing was written there since that revision.
   */
  fetchByStates(input: FetchByStatesInput, signal: AbortSignal): Promise<TrackerPage>
  /** At most `FETCH_COUNT_MAX` tickets, whatever their state; what is not there is not in the answer. */
  fetchByIds(externalIds: readonly string[], signal: AbortSignal): Promise<TrackerTickets>
  /**
   * Compares and sets: the ticket is ours when it was still free (or ours already, under the same mark). Called
   * again after a crash, it finds what had happened. May be called for several tickets at once.
   */
  take(input: TakeInput, signal: AbortSignal): Promise<TakeResult>
  /**
   * Writes what became of the ticket, only while it is still ours. The same call again changes nothing. Parts that
   * have no place there are left out. The mark is taken away with a status in which the ticket is nobody's.
   */
  writeBack(input: WriteBackInput, signal: AbortSignal): Promise<WriteBackResult>
  /** Gives everything back. May be called twice. */
  close(): Promise<void>
}

/** Tickets in one page, and identifiers in one `fetchByIds` */
export const FETCH_COUNT_MAX = 500

export type FetchByStatesInput = {
  readonly states: readonly TicketStatus[]
  /** `nextCursor` of the page before; absent: the first page */
  readonly cursor?: string
  readonly unlessRevision?: string
}

export type TrackerPage =
  | { readonly kind: 'unchanged' }
  | (TrackerTickets & {
      readonly kind: 'page'
      /** `null`: this was the last one */
      readonly nextCursor: string | null
      /** What the tracker held before the page was read; `null` when it cannot tell that nothing changed */
      readonly revision: string | null
    })

export type TrackerTickets = {
  readonly tickets: readonly TrackerTicket[]
  readonly problems: readonly TrackerProblem[]
}

/** A ticket as the tracker holds it, in our words, checked and bounded. */
export type TrackerTicket = {
  /** As the tracker spells it; at most 200 characters */
  readonly externalId: string
  /** The tracker's own word for its state */
  readonly word: string
  /** What that word means to us; `null` when it is not mapped */
  readonly status: TicketStatus | null
  readonly title: string
  readonly body: string
  readonly type: string
  readonly labels: readonly string[]
  /** 1 to 5 */
  readonly priority: number
  readonly workflow: string | null
  readonly agent: string | null
  readonly inputs: JsonObject
  /** `ms` since the epoch; `null` when the tracker does not say */
  readonly createdAt: number | null
}

/** What cannot be mirrored, or only in part, and what to do about it. */
export type TrackerProblem = {
  /** `null`: it concerns the whole tracker */
  readonly externalId: string | null
  /** `refused`: it is not mirrored, or nothing works; `note`: it works without that part */
  readonly severity: 'refused' | 'note'
  readonly problem: string
  /** The setting or change that mends it */
  readonly fix: string | null
}

export type TrackerCheck = {
  /** Whether tickets can be mirrored and taken */
  readonly isUsable: boolean
  /** How its parts are used: `status ← state`, `result → not written back` … one line each */
  readonly mapping: readonly { readonly part: string; readonly use: string }[]
  /** Tickets by the tracker's own word for their state, with what it means to us */
  readonly counts: readonly {
    readonly word: string
    readonly status: TicketStatus | null
    readonly count: number
  }[]
  /** The first tickets that would be mirrored, at most `CHECK_SAMPLE_COUNT` */
  readonly sample: readonly TrackerTicket[]
  /** Number of tickets that would be mirrored */
  readonly mirroredCount: number
  /** At most `CHECK_PROBLEM_COUNT`, those of the whole tracker first */
  readonly problems: readonly TrackerProblem[]
}

export const CHECK_SAMPLE_COUNT = 10
export const CHECK_PROBLEM_COUNT = 100

export type TakeInput = {
  readonly externalId: string
  /** Tells our take from everybody else's where there is a place for it; the same for every run of the ticket */
  readonly mark: string
  /** The word that we wrote there last; `null`: we never took it */
  readonly lastWord: string | null
}

export type TakeResult =
  /** Ours now; `word` stands there */
  | { readonly kind: 'taken'; readonly word: string }
  /** Somebody else has it, or it is not open any more */
  | { readonly kind: 'lost'; readonly word: string; readonly by: string | null }
  | { readonly kind: 'absent' }

export type WriteBackInput = {
  readonly externalId: string
  readonly mark: string
  readonly lastWord: string | null
  readonly status: TicketStatus
  readonly outputs: JsonObject | null
  /** Reason and detail in one line; `null` when nothing went wrong */
  readonly error: string | null
  readonly branch: string | null
  /** Address or number of the pull request */
  readonly pullRequest: string | null
  /** Instant of the change, `ms` since the epoch */
  readonly at: number
}

export type WriteBackResult =
  /** It stands there now, or stood there already; `word` is `null` when the status has no word there */
  | { readonly kind: 'written'; readonly word: string | null }
  /** Somebody else has changed it since: it is left as it is */
  | { readonly kind: 'lost'; readonly word: string; readonly by: string | null }
  | { readonly kind: 'absent' }

export type TrackerErrorCode =
  /** Locked, unreadable, not there, too slow, not ours to write: trying again can help */
  | 'tracker_unavailable'
  /** It will never take that write of that ticket: a constraint, a trigger */
  | 'tracker_refused'
  /** The configuration does not fit what is there now; no ticket is to blame */
  | 'tracker_misfit'

export class TrackerError extends Error {
  readonly code: TrackerErrorCode
  /** What the operator can do, one sentence */
  readonly fix: string | null

  constructor(
    code: TrackerErrorCode,
    message: string,
    options: { fix?: string | null; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = 'TrackerError'
    this.code = code
    this.fix = options.fix ?? null
  }
}
