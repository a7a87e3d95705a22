import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Store } from '../store/contract.ts'
import type { HealthReport, ProbeSummary } from './control.ts'

/** What the coordinator's parts say of themselves, for the report. */
export type HealthInput = {
  readonly store: Store
  readonly probe: ProbeSummary
  readonly isDraining: boolean
  readonly slotCount: number
  readonly freeSlotCount: number
  readonly heldRunCount: number
  readonly lastClaimAt: number | null
  readonly lastRenewalAt: number | null
  readonly lastCompletionAt: number | null
  /** Instants at which the loops last went round, `ms` since the epoch */
  readonly lastPollAt: number
  readonly lastTickAt: number
  readonly leaseTtlMs: number
  readonly pollIntervalMs: number
  readonly eventLoop: EventLoopMeter
}

/** Work may wait this many polls with a free slot before something is wrong. */
const POLLS_TOLERATED = 5
const LOOP_TOLERANCE_MS = 10_000

/**
 * Health from outcomes. Idle is healthy: with nothing to claim, no claim is expected. Work that waits although a
 * slot is free, a lease that was not renewed, a loop that stands still: those are not.
 */
export async function reportHealth(input: HealthInput): Promise<HealthReport> {
  const now = input.store.now()
  const figures = await input.store.read.getFigures()
  const oldest = figures.oldestClaimableAgeMs
  const patienceMs = Math.max(LOOP_TOLERANCE_MS, POLLS_TOLERATED * input.pollIntervalMs)
  const loopLagMs = now - Math.min(input.lastPollAt, input.lastTickAt)
  const isStarving = !input.isDraining && input.freeSlotCount > 0 && (oldest ?? 0) > patienceMs
  const renewalAgeMs = now - (input.lastRenewalAt ?? now)
  const checks = [
    {
      name: 'claims',
      ok: !isStarving,
      detail: isStarving
        ? `work has waited ${Math.round((oldest ?? 0) / 1000)} s although ${input.freeSlotCount} slots are free`
        : 'nothing waits that could be claimed',
    },
    {
      name: 'renewals',
      ok: input.heldRunCount === 0 || renewalAgeMs < input.leaseTtlMs,
      detail: `${input.heldRunCount} leases held, renewed ${Math.round(renewalAgeMs / 1000)} s ago`,
    },
    {
      name: 'loops',
      ok: input.isDraining || loopLagMs < patienceMs,
      detail: `poller and reconciler went round ${Math.round(loopLagMs / 1000)} s ago`,
    },
    {
      name: 'effects',
      ok: figures.deadEffectCount === 0,
      detail:
        figures.deadEffectCount === 0
          ? `${figures.pendingEffectCount} to be sent`
          : `${figures.deadEffectCount} could not be sent: their tickets say why`,
    },
    {
      name: 'sandbox',
      ok: input.probe.ok,
      detail: input.probe.ok
        ? `${input.probe.driver}, ${input.probe.limits} limits`
        : `${input.probe.reason}`,
    },
  ]
  const isBlocking = (name: string) => name === 'claims' || name === 'renewals' || name === 'loops'
  return {
    isLive: checks.every((check) => check.ok || !isBlocking(check.name)),
    isReady: !input.isDraining && checks.every((check) => check.ok || check.name === 'effects'),
    checks,
    figures: {
      oldestPendingAgeMs: oldest,
      lastClaimAt: input.lastClaimAt,
      lastRenewalAt: input.lastRenewalAt,
      lastCompletionAt: input.lastCompletionAt,
      heldRunCount: input.heldRunCount,
      slotCount: input.slotCount,
      eventLoopDelayMs: input.eventLoop.p99Ms(),
      deadEffectCount: figures.deadEffectCount,
    },
    sandbox: input.probe,
  }
}

/** How late timers are: what blocks the event loop blocks leases. */
export class EventLoopMeter {
  readonly #histogram = monitorEventLoopDelay({ resolution: 20 })

  start(): void {
    this.#histogram.enable()
  }

  stop(): void {
    this.#histogram.disable()
  }

  /** 99th percentile since the last call, `ms` */
  p99Ms(): number {
    const ms = this.#histogram.percentile(99) / 1e6
    this.#histogram.reset()
    return Number.isFinite(ms) ? Math.round(ms * 10) / 10 : 0
  }
}
