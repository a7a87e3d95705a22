import type { HealthReport } from '../../coordinator/control.ts'
import type { HealthBody } from '../../rest-schema/health.ts'
import type { StoreFigures } from '../../store/contract.ts'
import { toInstantOrNull } from '../instant.ts'
import type { DiskReport } from '../maintenance/maintenance-port.ts'

/** Leases are renewed several times in their life; held runs without any renewal for this long have no keeper, `ms` */
const RENEWAL_AGE_MAX_MS = 60_000

/**
 * Health from outcomes: work that waits is claimed while slots are free, held leases are renewed, outside effects
 * get through. A system with nothing to do is healthy.
 */
export function deriveHealth(
  report: HealthReport,
  figures: StoreFigures,
  limits: { readonly now: number; readonly pendingAgeMaxMs: number },
  disk?: DiskReport,
): HealthBody {
  const checks = [
    ...report.checks.map((check) => ({ ...check })),
    checkPending(report, figures, limits.pendingAgeMaxMs),
    checkRenewals(report, limits.now),
    checkEffects(figures),
    ...(disk === undefined ? [] : [checkDisk(disk)]),
  ]
  const { lastClaimAt, lastRenewalAt, lastCompletionAt, ...rest } = report.figures
  return {
    status: toStatus(
      report,
      checks.every(({ ok }) => ok),
    ),
    isLive: report.isLive,
    isReady: report.isReady,
    checks,
    figures: {
      ...rest,
      lastClaimAt: toInstantOrNull(lastClaimAt),
      lastRenewalAt: toInstantOrNull(lastRenewalAt),
      lastCompletionAt: toInstantOrNull(lastCompletionAt),
      oldestPendingAgeMs: figures.oldestClaimableAgeMs,
      deadEffectCount: figures.deadEffectCount,
      pendingEffectCount: figures.pendingEffectCount,
      lastEventSeq: figures.lastEventSeq,
      ticketCounts: figures.ticketCounts,
      runCounts: figures.runCounts,
    },
    sandbox: report.sandbox,
    ...(disk === undefined ? {} : { disk: { ...disk, measuredAt: toInstantOrNull(disk.measuredAt) } }),
  }
}

function toStatus(report: HealthReport, isEveryCheckOk: boolean): HealthBody['status'] {
  if (!report.isLive || !report.isReady) return 'failing'
  return isEveryCheckOk ? 'ok' : 'degraded'
}

type Check = { name: string; ok: boolean; detail: string }

function checkPending(
  { figures }: HealthReport,
  { oldestClaimableAgeMs }: StoreFigures,
  ageMaxMs: number,
): Check {
  const name = 'pending-tickets-are-claimed'
  if (oldestClaimableAgeMs === null) return { name, ok: true, detail: 'nothing waits' }
  const age = `the oldest has waited ${Math.round(oldestClaimableAgeMs / 1000)} s`
  if (oldestClaimableAgeMs <= ageMaxMs) return { name, ok: true, detail: age }
  const { heldRunCount, slotCount } = figures
  // Waiting for a slot is not failing.
  if (heldRunCount >= slotCount && slotCount > 0)
    return { name, ok: true, detail: `${age}; every slot is taken` }
  return {
    name,
    ok: false,
    detail: `${age} although ${slotCount - heldRunCount} of ${slotCount} slots are free`,
  }
}

function checkRenewals({ figures }: HealthReport, now: number): Check {
  const name = 'held-leases-are-renewed'
  const { heldRunCount, lastRenewalAt, lastClaimAt } = figures
  if (heldRunCount === 0) return { name, ok: true, detail: 'no run is held' }
  const newest = Math.max(lastRenewalAt ?? 0, lastClaimAt ?? 0)
  const ok = now - newest <= RENEWAL_AGE_MAX_MS
  const age = newest === 0 ? 'never' : `${Math.round((now - newest) / 1000)} s ago`
  return { name, ok, detail: `${heldRunCount} held, last renewed ${age}` }
}

function checkEffects({ deadEffectCount }: StoreFigures): Check {
  const name = 'outside-effects-get-through'
  if (deadEffectCount === 0) return { name, ok: true, detail: 'none was given up' }
  return { name, ok: false, detail: `${deadEffectCount} were given up and wait for a person` }
}

/** Less than this share, or these bytes where the share is larger, and there is still time to make room */
const FREE_SHARE_MIN = 0.05
const FREE_BYTES_CAP = 5 * 1024 ** 3
const FREE_BYTES_MIN = 256 * 1024 ** 2

function checkDisk({ freeBytes, totalBytes }: DiskReport): Check {
  const wantedBytes = Math.max(FREE_BYTES_MIN, Math.min(totalBytes * FREE_SHARE_MIN, FREE_BYTES_CAP))
  const free = `${toMib(freeBytes)} MiB of ${toMib(totalBytes)} are free for the state directory`
  if (freeBytes >= wantedBytes) return { name: 'disk-has-room', ok: true, detail: free }
  const detail = `${free}, ${toMib(wantedBytes)} are wanted: make room, or keep less (swarm gc, retention)`
  return { name: 'disk-has-room', ok: false, detail }
}

function toMib(bytes: number): number {
  return Math.floor(bytes / 1024 ** 2)
}
