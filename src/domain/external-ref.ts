import type { TicketId } from './id.ts'
import type { Reason } from './reason.ts'
import type { TicketStatus } from './status.ts'

/**
 * How the ticket stands in its tracker, as far as we know:
 * - `open`: free for whoever takes it first
 * - `ours`: we took it
 * - `elsewhere`: somebody else took or changed it; nothing is written there any more
 */
export type ExternalStanding = 'open' | 'ours' | 'elsewhere'

/** What one of our tickets is called in the tracker that it was mirrored from. */
export type ExternalRef = {
  readonly tracker: string
  readonly externalId: string
  readonly ticketId: TicketId
  /** The tracker's word that we last wrote or saw */
  readonly word: string
  readonly standing: ExternalStanding
}

/** Ends that the tracker itself decided: there is nothing to write back. */
const DECIDED_THERE: ReadonlySet<Reason> = new Set([
  'taken_elsewhere',
  'gone_from_tracker',
  // It would refuse this write as well.
  'tracker_refused',
])

const WRITTEN_BACK: ReadonlySet<TicketStatus> = new Set(['waiting', 'review', 'done', 'failed', 'canceled'])

/** Whether a move of a mirrored ticket to this status is told to its tracker. */
export function isWrittenBack(status: TicketStatus, reason: Reason | null): boolean {
  return WRITTEN_BACK.has(status) && (reason === null || !DECIDED_THERE.has(reason))
}

/** The mark under which Swarm takes a ticket there, the same for every run of it. */
export function toMark(ticketId: TicketId): string {
  return `swarm:${ticketId}`
}
