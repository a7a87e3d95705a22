import type { RunId } from '../domain/id.ts'
import type { CancelTicketInput, OpenExternalRef, Store } from '../store/contract.ts'
import { VersionConflictError } from '../store/errors.ts'
import { FETCH_COUNT_MAX, type Tracker, type TrackerTicket } from '../tracker/contract.ts'
import type { TrackerNotes } from './tracker-report.ts'

export type Comparison = {
  /** Names of ours that were looked for and are not there */
  readonly absent: readonly OpenExternalRef[]
  /** Something could not be settled: look again although nothing changes there */
  readonly isUnsettled: boolean
}

type Deps = {
  readonly store: Store
  readonly tracker: Tracker
  readonly notes: TrackerNotes
  cancelRun(runId: RunId): void
}

/** Brings what is open here and did not stand open there in line with what stands there. */
export async function compareWithTracker(
  deps: Deps,
  refs: readonly OpenExternalRef[],
  signal: () => AbortSignal,
): Promise<Comparison> {
  const absent: OpenExternalRef[] = []
  let isUnsettled = false
  for (let at = 0; at < refs.length; at += FETCH_COUNT_MAX) {
    const batch = refs.slice(at, at + FETCH_COUNT_MAX)
    const found = await deps.tracker.fetchByIds(
      batch.map(({ externalId }) => externalId),
      signal(),
    )
    const there = new Map(found.tickets.map((ticket) => [ticket.externalId, ticket]))
    // What cannot be read is there.
    const unreadable = new Set(found.problems.map(({ externalId }) => externalId))
    for (const ref of batch) {
      const ticket = there.get(ref.externalId)
      if (ticket !== undefined) isUnsettled = !(await settle(deps, ref, ticket)) || isUnsettled
      else if (!unreadable.has(ref.externalId)) absent.push(ref)
    }
  }
  return { absent, isUnsettled }
}

/** @returns whether nothing is left to be looked at again */
async function settle(deps: Deps, ref: OpenExternalRef, there: TrackerTicket): Promise<boolean> {
  const { ticketStatus, standing } = ref
  const isAtWork = ticketStatus === 'running' || ticketStatus === 'waiting' || ticketStatus === 'review'
  const stands = `it stands as ${JSON.stringify(there.word)} in tracker ${ref.tracker}`
  if (standing === 'elsewhere' || there.word === ref.word) return true
  if (standing === 'open') {
    // Being taken at this moment, or put back since the list was read: the next look knows.
    if (isAtWork || there.status === 'pending') return false
    return await cancel(deps, ref, { reason: 'taken_elsewhere', detail: stands, seenWord: there.word })
  }
  if (there.status === 'canceled') {
    const detail = `canceled there: ${stands}`
    return await cancel(deps, ref, { reason: 'canceled_by_person', detail, seenWord: there.word })
  }
  // What we have just written there may be on its way into our records.
  if (there.status === ticketStatus) return false
  deps.notes.add({
    externalId: ref.externalId,
    severity: 'note',
    problem: `${stands}, changed by somebody else while Swarm works on it as ${ref.ticketKey}`,
    fix: `cancel ${ref.ticketKey} if it is not to be done, or set it back to ${JSON.stringify(ref.word)} there`,
  })
  return false
}

/** Ends ours, unless it moved on since it was compared. */
export async function cancel(
  { store, cancelRun }: Pick<Deps, 'store' | 'cancelRun'>,
  { ticketId, ticketVersion, tracker }: OpenExternalRef,
  why: Pick<CancelTicketInput, 'reason' | 'detail' | 'seenWord'>,
): Promise<boolean> {
  try {
    const ticket = await store.write.cancelTicket({
      ticketId,
      actor: `tracker:${tracker}`,
      expectedVersion: ticketVersion,
      ...why,
    })
    if (ticket.currentRunId !== null && ticket.status !== 'canceled') cancelRun(ticket.currentRunId)
    return true
  } catch (error) {
    if (error instanceof VersionConflictError) return false
    throw error
  }
}
