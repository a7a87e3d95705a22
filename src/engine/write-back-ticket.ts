import { type ExternalStanding, toMark } from '../domain/external-ref.ts'
import type { TicketId } from '../domain/id.ts'
import type { JsonObject } from '../domain/json.ts'
import type { Ticket } from '../domain/ticket.ts'
import { type Tracker, TrackerError, type WriteBackResult } from '../tracker/contract.ts'
import type { EngineDeps } from './ports.ts'
import type { EffectEnd } from './send-effect.ts'

type Deps = Pick<EngineDeps, 'store' | 'trackers'>

/** Statuses without news: the ticket goes on, and its next move is told. */
const UNTOLD: readonly Ticket['status'][] = ['draft', 'pending', 'blocked']

/**
 * Tells a ticket's tracker how the ticket stands now, whatever it was when that was asked for; so it may be sent
 * twice, late and out of order. A ticket that is not ours there is left alone.
 */
export async function writeBackTicket(
  deps: Deps,
  { ticketId }: { ticketId: TicketId },
  signal: AbortSignal,
): Promise<EffectEnd> {
  const { read } = deps.store
  const ticket = await read.findTicket({ ticketId })
  const ref = await read.findExternalRef({ ticketId })
  if (ticket === undefined || ref === undefined) return leave('the ticket is of no tracker')
  if (UNTOLD.includes(ticket.status)) return leave(`the ticket is ${ticket.status} again`)
  if (ref.standing === 'elsewhere') return leave(`somebody else has it there: ${JSON.stringify(ref.word)}`)
  const tracker = deps.trackers.find(ref.tracker)
  if (tracker === undefined) return refuse(`the tracker ${ref.tracker} is not configured any more`)
  const place = { externalId: ref.externalId, mark: toMark(ticket.id) }
  try {
    let lastWord: string | null = ref.word
    if (ref.standing === 'open') {
      // It ended before anybody began: it is taken first, so that nobody begins there either.
      const taken = await tracker.take({ ...place, lastWord: null }, signal)
      if (taken.kind !== 'taken') return toEnd(ticket, taken)
      lastWord = taken.word
    }
    return toEnd(
      ticket,
      await tracker.writeBack({ ...place, lastWord, ...(await describe(deps, ticket)) }, signal),
    )
  } catch (error) {
    if (!(error instanceof TrackerError)) throw error
    return toFailure(error)
  }
}

type Told = Omit<Parameters<Tracker['writeBack']>[0], 'externalId' | 'mark' | 'lastWord'>

async function describe({ store }: Deps, ticket: Ticket): Promise<Told> {
  const { status, outputs, branch, updatedAt, pullRequestId } = ticket
  const pullRequest = pullRequestId === null ? undefined : await store.read.findPullRequest({ pullRequestId })
  return {
    status,
    outputs,
    error: toErrorLine(ticket),
    branch,
    pullRequest: pullRequest === undefined ? null : (pullRequest.url ?? String(pullRequest.number)),
    at: updatedAt,
  }
}

const ERROR_CHARS_MAX = 2_000

function toErrorLine({ status, reason, detail }: Ticket): string | null {
  if (status !== 'failed' && status !== 'canceled') return null
  const words = [reason, detail].filter((word) => word !== null).join(': ')
  return words.replaceAll(/\s+/g, ' ').slice(0, ERROR_CHARS_MAX)
}

function toEnd(
  ticket: Ticket,
  result: WriteBackResult | Exclude<Awaited<ReturnType<Tracker['take']>>, { kind: 'taken' }>,
): EffectEnd {
  const { id: ticketId, status } = ticket
  const told = (word: string | null, standing: ExternalStanding): EffectEnd => ({
    kind: 'done',
    outcome: { kind: 'written_back', ticketId, word, standing, status, result: { ...result, status } },
  })
  switch (result.kind) {
    case 'written':
      return told(result.word, 'ours')
    case 'lost':
      return told(result.word, 'elsewhere')
    case 'absent':
      return told(null, 'elsewhere')
  }
}

/** Trying again cannot help with a ticket that is refused; what is wrong with the whole tracker costs no ticket. */
export function toFailure(error: TrackerError): Extract<EffectEnd, { kind: 'failed' }> {
  return {
    kind: 'failed',
    reason: error.code === 'tracker_refused' ? 'tracker_refused' : 'tracker_failed',
    detail: error.fix === null ? error.message : `${error.message}; ${error.fix}`,
  }
}

function leave(why: string): EffectEnd {
  const result: JsonObject = { kind: 'left', why }
  return { kind: 'done', outcome: { kind: 'plain', result } }
}

function refuse(detail: string): EffectEnd {
  return { kind: 'failed', reason: 'tracker_refused', detail }
}
