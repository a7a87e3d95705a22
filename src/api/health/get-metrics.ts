import type { HealthBody } from '../../rest-schema/health.ts'
import { getMetricsSpec } from '../../rest-schema/operations/health.ts'
import { operation } from '../operation.ts'
import { type GetHealthDeps, readHealth } from './get-health.ts'

export function getMetrics(deps: GetHealthDeps) {
  return operation(getMetricsSpec, async () => {
    const health = await readHealth(deps)
    return new Response(toPrometheusText(health), {
      headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
    })
  })
}

type Metric = {
  readonly name: string
  readonly help: string
  readonly type: 'gauge' | 'counter'
  /** Labels in braces, or nothing → value */
  readonly values: Readonly<Record<string, number>>
}

function toPrometheusText({ figures, status, isLive, isReady, disk }: HealthBody): string {
  const gauge = (name: string, help: string, value: number): Metric => ({
    name,
    help,
    type: 'gauge',
    values: { '': value },
  })
  const metrics: Metric[] = [
    gauge('swarm_live', 'The loops of the coordinator turn', Number(isLive)),
    gauge('swarm_ready', 'The coordinator takes work', Number(isReady)),
    gauge('swarm_healthy', 'Every check of health says yes', Number(status === 'ok')),
    gauge(
      'swarm_oldest_pending_ticket_age_seconds',
      'Age of the oldest claimable ticket or run; 0 when nothing waits',
      (figures.oldestPendingAgeMs ?? 0) / 1000,
    ),
    gauge('swarm_runs_held', 'Runs that this coordinator drives', figures.heldRunCount),
    gauge('swarm_slots', 'Runs that it may drive at a time', figures.slotCount),
    gauge('swarm_effects_pending', 'Outside effects that wait to be sent', figures.pendingEffectCount),
    gauge('swarm_effects_dead', 'Outside effects that were given up', figures.deadEffectCount),
    gauge('swarm_event_loop_delay_seconds', 'Delay of the event loop', figures.eventLoopDelayMs / 1000),
    byStatus('swarm_tickets', 'Tickets by status', figures.ticketCounts),
    byStatus('swarm_runs', 'Runs by status', figures.runCounts),
    {
      name: 'swarm_events_total',
      help: 'Events recorded',
      type: 'counter',
      values: { '': figures.lastEventSeq },
    },
  ]
  return [...metrics, ...toDiskMetrics(disk)].map(toLines).join('')
}

function toDiskMetrics(disk: HealthBody['disk']): Metric[] {
  if (disk === undefined) return []
  const kinds = Object.entries(disk.bytesByKind).map(([kind, bytes]) => [`{kind="${kind}"}`, bytes])
  const type = 'gauge'
  return [
    {
      name: 'swarm_disk_free_bytes',
      help: 'Room on the file system of the state directory',
      type,
      values: { '': disk.freeBytes },
    },
    {
      name: 'swarm_state_bytes',
      help: 'What lies in the state directory, measured every hour',
      type,
      values: Object.fromEntries(kinds),
    },
  ]
}

function byStatus(name: string, help: string, counts: Readonly<Record<string, number>>): Metric {
  const values = Object.fromEntries(
    Object.entries(counts).map(([status, count]) => [`{status="${status}"}`, count]),
  )
  return { name, help, type: 'gauge', values }
}

function toLines({ name, help, type, values }: Metric): string {
  const samples = Object.entries(values).map(([labels, value]) => `${name}${labels} ${value}\n`)
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.join('')}`
}
