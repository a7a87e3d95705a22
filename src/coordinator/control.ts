/** What the API may ask of the coordinator. Everything else it reads from and writes to the store. */
import type { RunId, TicketId } from '../domain/id.ts'
import type { JsonObject } from '../domain/json.ts'
import type { Claim } from '../store/contract.ts'
import type { TakeEnd } from './take-ticket.ts'
import type { TrackerReport } from './tracker-report.ts'

export type { TakeEnd, TrackerReport }

/** Why a ticket would go, or went, to its workflow. */
export type RouteExplanation = {
  /** Each rule in its order, with what it looked at */
  readonly rules: readonly { readonly name: string; readonly isMatch: boolean; readonly why: string }[]
  readonly result:
    | {
        readonly kind: 'routed'
        readonly workflow: string
        readonly agent: string | null
        readonly inputs: JsonObject
        readonly rule: string
      }
    | { readonly kind: 'unroutable'; readonly detail: string }
}

export type ProbeSummary = {
  readonly driver: string
  readonly ok: boolean
  /** What is missing */
  readonly reason: string | null
  /** What to do about it */
  readonly fix: string | null
  readonly limits: 'hard' | 'soft' | 'none'
  readonly isolation: string
}

/** Derived from outcomes (claims, renewals, completions), never from being up. */
export type HealthReport = {
  /** `false`: the process should be restarted: its loops stand still */
  readonly isLive: boolean
  /** `false`: it takes no work: draining, no sandbox, store gone */
  readonly isReady: boolean
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[]
  readonly figures: {
    readonly oldestPendingAgeMs: number | null
    readonly lastClaimAt: number | null
    readonly lastRenewalAt: number | null
    readonly lastCompletionAt: number | null
    readonly heldRunCount: number
    readonly slotCount: number
    readonly eventLoopDelayMs: number
    readonly deadEffectCount: number
  }
  readonly sandbox: ProbeSummary
}

export type CoordinatorControl = {
  /** Looks for work now instead of at the next poll. Never waits. */
  wake(): void
  explainRoute(ticketId: TicketId): Promise<RouteExplanation>
  health(): Promise<HealthReport>
  /** Stops claiming; resolves when it has. Held runs go on (`wait`: resolves when they have ended). */
  drain(options: { wait: boolean; signal?: AbortSignal }): Promise<void>
  /** Tells the engine at once about a cancelation that is already in the store. */
  cancelRun(runId: RunId): void
  /**
   * Takes the claimed ticket of an outside agent in its tracker, before the claim is given out. `left`: the claim is
   * over already, whatever became of the ticket is recorded.
   */
  takeTicket(claim: Claim): Promise<TakeEnd>
  /** What is known of each configured tracker since this start. */
  listTrackers(): readonly TrackerReport[]
}
