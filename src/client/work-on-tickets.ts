import type { BodyInputOf } from '../rest-schema/operation.ts'
import type { claimNextTicketSpec } from '../rest-schema/operations/tickets.ts'
import type { SwarmClient } from './client.ts'
import { insist } from './insist.ts'
import { openWorkBell } from './work-bell.ts'
import { type ClaimedTicket, type Work, type WorkOutcome, workOnClaim } from './work-on-claim.ts'

type Choice = Pick<BodyInputOf<typeof claimNextTicketSpec>, 'project' | 'labels' | 'types'>

export type WorkOnTicketsOptions = Choice & {
  /** Name that the agent gives itself; it stands in events */
  readonly holder: string
  readonly work: Work
  /** Ends the loop: no further claim, the work's signal aborts, what is not finished is released */
  readonly signal?: AbortSignal
  /** How long the server keeps a ticket for an agent that fell silent, `ms`; 60 s when nothing is said */
  readonly leaseTtlMs?: number
  /** Longest time between two questions for work, `ms`; 10 s when nothing is said. Events shorten it. */
  readonly pollMs?: number
  /** How long the work may go on after its signal aborted, `ms`; 10 s when nothing is said */
  readonly graceMs?: number
  /** `idle`: end when there is nothing to do */
  readonly until?: 'stopped' | 'idle'
  /** Told what happens; must not throw */
  readonly onNote?: (note: WorkNote) => void
}

export type WorkNote =
  | { readonly kind: 'claimed' | WorkOutcome; readonly ticketKey: string; readonly runId: string }
  /** Something did not get through; it is tried again */
  | { readonly kind: 'trouble'; readonly error: unknown }

const LEASE_TTL_MS = 60_000
const POLL_MS = 10_000
const GRACE_MS = 10_000
/** For the last report after the work's own grace, `ms` */
const REPORT_GRACE_MS = 10_000

/**
 * An outside agent: claims tickets one after another, does each with `work`, reports each until that is recorded.
 * Survives restarts of the coordinator and broken connections. For several tickets at a time start several.
 * @throws ApiError when the server says no for good (401, 403, 422 …); Error when the work ignores its signal
 */
export async function workOnTickets(client: SwarmClient, options: WorkOnTicketsOptions): Promise<void> {
  const { leaseTtlMs = LEASE_TTL_MS, pollMs = POLL_MS, graceMs = GRACE_MS, onNote = () => {} } = options
  const stop = options.signal ?? new AbortController().signal
  const limit = limitStop(stop, graceMs + REPORT_GRACE_MS)
  const onTrouble = (error: unknown) => onNote({ kind: 'trouble', error })
  const bell = openWorkBell(client, onTrouble)
  const shared = { client, leaseTtlMs, work: options.work, stop, giveUp: limit.signal, graceMs, onTrouble }
  try {
    while (!stop.aborted) {
      const claimedAt = performance.now()
      const claim = await claimNext(
        client,
        { ...options, leaseTtlMs },
        { stop, giveUp: limit.signal, onTrouble },
      )
      if (claim === undefined) {
        if (options.until === 'idle') return
        // Many idle agents must not ask at the same moment.
        await bell.wait(pollMs * (0.8 + Math.random() * 0.4), stop)
        continue
      }
      const about = { ticketKey: claim.ticket.key, runId: claim.run.id }
      onNote({ kind: 'claimed', ...about })
      onNote({ kind: await workOnClaim({ ...shared, claim, claimedAt }), ...about })
    }
  } catch (error) {
    if (!stop.aborted) throw error
    onTrouble(error)
  } finally {
    limit.clear()
    await bell.close()
  }
}

/** The key makes a claim whose answer was lost come again, instead of a second ticket. */
async function claimNext(
  client: SwarmClient,
  { holder, leaseTtlMs, project, labels, types }: Choice & { holder: string; leaseTtlMs: number },
  {
    stop,
    giveUp,
    onTrouble,
  }: { stop: AbortSignal; giveUp: AbortSignal; onTrouble: (error: unknown) => void },
): Promise<ClaimedTicket | undefined> {
  const body = { holder, leaseTtlMs, ...toChoice({ project, labels, types }) }
  const idempotencyKey = crypto.randomUUID()
  return await insist((signal) => client.tickets.claimNext(body, { signal, idempotencyKey }), {
    signal: stop,
    giveUp,
    onTrouble,
  })
}

function toChoice({ project, labels, types }: Choice): Choice {
  return {
    ...(project === undefined ? {} : { project }),
    ...(labels === undefined ? {} : { labels }),
    ...(types === undefined ? {} : { types }),
  }
}

/** A signal that aborts so long after the stop; `clear` when it is not needed any more. */
function limitStop(stop: AbortSignal, graceMs: number): { signal: AbortSignal; clear(): void } {
  const limit = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const count = () => {
    timer = setTimeout(() => limit.abort(new Error('the agent was stopped')), graceMs)
  }
  if (stop.aborted) count()
  else stop.addEventListener('abort', count, { once: true })
  return {
    signal: limit.signal,
    clear: () => {
      clearTimeout(timer)
      stop.removeEventListener('abort', count)
    },
  }
}
