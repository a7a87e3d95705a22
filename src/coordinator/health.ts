import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Store } from '../store/contract.ts'
import type { HealthReport, ProbeSummary, TrackerReport } from './control.ts'

/** What the coordinator's parts say of themselves, for the report. */
export type HealthInput = {
  readonly store: Store
  readonly probe: ProbeSummary
  readonly isDraining: boolean
  readonly slotCount: number
  readonly heldRunCount: number
  readonly lastClaimAt: number | null
  readonly lastRenewalAt: number | null
  readonly lastCompletionAt: number | null
  /** Instants at which the loops last went round, `ms` since the epoch */
  readonly lastPollAt: number
  readonly lastTickAt: number
  readonly pollIntervalMs: number
  readonly eventLoop: EventLoopMeter
  readonly trackers: readonly TrackerReport[]
}

/** A loop may be late by this many polls, and by this much at least, before something is wrong. */
const POLLS_TOLERATED = 5
const LOOP_TOLERANCE_MS = 10_000

/**
 * What only the coordinator knows of its health: whether its loops go round and sandboxes can be made. What the store
 * knows (work that waits, leases, effects) is judged where the report is answered, see `derive-health.ts` of the API.
 */
export async function reportHealth(input: HealthInput): Promise<HealthReport> {
  const now = input.store.now()
  const figures = await input.store.read.getFigures()
  const patienceMs = Math.max(LOOP_TOLERANCE_MS, POLLS_TOLERATED * input.pollIntervalMs)
  const lateMs = now - Math.min(input.lastPollAt, input.lastTickAt)
  const areLoopsGoing = input.isDraining || lateMs < patienceMs
  const { probe } = input
  return {
    isLive: areLoopsGoing,
    isReady: !input.isDraining && areLoopsGoing && probe.ok,
    checks: [
      {
        name: 'loops-go-round',
        ok: areLoopsGoing,
        detail: `poller and reconciler went round ${Math.round(lateMs / 1000)} s ago`,
      },
      {
        name: 'sandboxes-can-be-made',
        ok: probe.ok,
        detail: probe.ok ? `by ${probe.driver}, with ${probe.limits} limits` : `${probe.reason}`,
      },
      ...input.trackers.map(checkTracker),
    ],
    figures: {
      oldestPendingAgeMs: figures.oldestClaimableAgeMs,
      lastClaimAt: input.lastClaimAt,
      lastRenewalAt: input.lastRenewalAt,
      lastCompletionAt: input.lastCompletionAt,
      heldRunCount: input.heldRunCount,
      slotCount: input.slotCount,
      eventLoopDelayMs: input.eventLoop.p99Ms(),
      deadEffectCount: figures.deadEffectCount,
    },
    sandbox: probe,
  }
}

/** An empty or quiet tracker is healthy, and so is one that is locked for a moment. */
function checkTracker(report: TrackerReport): HealthReport['checks'][number] {
  const { problem, openThereCount, openHereCount, noteCount, lastPollAt } = report
  const counts = lastPollAt === null ? 'not read yet' : `${openThereCount} open there, ${openHereCount} here`
  const notes = noteCount === 0 ? '' : `; notes: ${noteCount}, see "swarm tracker list"`
  return {
    name: `tracker-${report.name}-is-mirrored`,
    ok: report.isOk,
    detail: problem ?? `${counts}${notes}`,
  }
}

/** Time between two looks at how late a timer is, `ms`; more of them would be most of what an idle daemon does */
const SAMPLE_MS = 100

/** Time that one histogram covers, `ms` */
const WINDOW_MS = 60_000

/** How late timers are: what blocks the event loop blocks leases. Reading it changes nothing for the next reader. */
export class EventLoopMeter {
  readonly #histogram = monitorEventLoopDelay({ resolution: SAMPLE_MS })
  #windowBeganAt = performance.now()
  #lastWindowMs = 0

  start(): void {
    this.#histogram.enable()
  }

  stop(): void {
    this.#histogram.disable()
  }

  /** 99th percentile, `ms`: the worse of the window under way and the one before it */
  p99Ms(): number {
    // The histogram holds the time between two samples, of which a part was meant to pass.
    const ms = Math.max(0, this.#histogram.percentile(99) / 1e6 - SAMPLE_MS)
    const windowMs = Number.isFinite(ms) ? Math.round(ms * 10) / 10 : 0
    const worseMs = Math.max(this.#lastWindowMs, windowMs)
    if (performance.now() - this.#windowBeganAt >= WINDOW_MS) {
      this.#lastWindowMs = windowMs
      this.#windowBeganAt = performance.now()
      this.#histogram.reset()
    }
    return worseMs
  }
}
