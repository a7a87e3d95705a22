import { parseDurationMs } from '../platform/duration.ts'
import { checkTrackers } from './check-trackers.ts'
import { parseStore } from './parse-store.ts'
import type { SettingProblem } from './setting-types.ts'
import type { Settings } from './settings-schema.ts'

const LEASE_TTL_MS_MIN = 500
const POLL_INTERVAL_MS_MIN = 10

/** What no single setting shows: settings that contradict each other. */
export function checkSettings(settings: Settings): readonly SettingProblem[] {
  return [
    ...checkTimes(settings),
    ...checkStore(settings),
    ...checkEgress(settings.egress),
    ...checkRoutes(settings.routes),
    ...checkForges(settings.forges),
    ...checkTrackers(settings.trackers),
  ]
}

function checkTimes({ lease, retry, poll }: Settings): SettingProblem[] {
  const problems: SettingProblem[] = []
  if (toMs(lease.deadman) >= toMs(lease.ttl)) {
    problems.push({
      path: ['lease', 'deadman'],
      message: `must be shorter than lease.ttl (${lease.ttl})`,
      hint: 'else a frozen holder could have a live sandbox when another takes over',
    })
  }
  if (toMs(lease.ttl) < LEASE_TTL_MS_MIN) {
    problems.push({ path: ['lease', 'ttl'], message: `must be at least ${LEASE_TTL_MS_MIN}ms`, hint: null })
  }
  if (toMs(retry.backoff) > toMs(retry['backoff-max'])) {
    problems.push({
      path: ['retry', 'backoff'],
      message: `must not be longer than retry.backoff-max (${retry['backoff-max']})`,
      hint: null,
    })
  }
  if (toMs(poll.interval) < POLL_INTERVAL_MS_MIN) {
    problems.push({
      path: ['poll', 'interval'],
      message: `must be at least ${POLL_INTERVAL_MS_MIN}ms`,
      hint: 'work that is created here wakes the poller at once',
    })
  }
  return problems
}

function checkStore({ store, 'store-password': password }: Settings): SettingProblem[] {
  const place = parseStore(store, (file) => file)
  if (typeof place === 'string') {
    const hint = 'write sqlite:swarm.db for a file in the state directory'
    return [{ path: ['store'], message: place, hint: place.startsWith('expects') ? hint : null }]
  }
  if (place.kind === 'postgres' || password === undefined || password === null) return []
  return [{ path: ['store-password'], message: 'is for a store in PostgreSQL', hint: null }]
}

function checkEgress(egress: Settings['egress']): SettingProblem[] {
  const lists = ['allow', 'allow-private'] as const
  return lists.flatMap((list) =>
    egress[list].flatMap((endpoint, index): SettingProblem[] => {
      const path = ['egress', list, index]
      const port = Number(endpoint.slice(endpoint.lastIndexOf(':') + 1))
      if (port < 1 || port > 65_535) return [{ path, message: 'has no port from 1 to 65535', hint: null }]
      if (list === 'allow-private' && endpoint.startsWith('*')) {
        return [
          { path, message: 'must name one host exactly', hint: 'a wildcard would open the whole inside' },
        ]
      }
      return []
    }),
  )
}

function checkRoutes(routes: Settings['routes']): SettingProblem[] {
  const problems: SettingProblem[] = []
  const firstByName = new Map<string, number>()
  for (const [index, { name }] of routes.entries()) {
    const first = firstByName.get(name)
    if (first === undefined) firstByName.set(name, index)
    else
      problems.push({
        path: ['routes', index, 'name'],
        message: `repeats the name of routes.${first}`,
        hint: null,
      })
  }
  return problems
}

function checkForges(forges: Settings['forges']): SettingProblem[] {
  return Object.entries(forges).flatMap(([name, { kind, credential, hosts = [] }]): SettingProblem[] => {
    const path = ['forges', name, 'credential']
    if (credential === undefined) return []
    if (kind === 'local') return [{ path, message: 'has no use: a local forge is on this disk', hint: null }]
    if (hosts.length === 0) {
      const hint = `add hosts: [git.example.org]; else whoever may change a project's address could have it sent anywhere`
      return [{ path, message: `needs forges.${name}.hosts: the hosts that it may be sent to`, hint }]
    }
    return hosts.flatMap((host, index) =>
      URL.canParse(`https://${host}`)
        ? []
        : [{ path: ['forges', name, 'hosts', index], message: 'is no host', hint: null }],
    )
  })
}

function toMs(duration: string): number {
  return parseDurationMs(duration) ?? 0
}
