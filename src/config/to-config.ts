import { parseDurationMs } from '../platform/duration.ts'
import type { Environment } from '../platform/environment.ts'
import { defaultStateDir, type Places, toAbsolutePath } from '../platform/paths.ts'
import type { Config, EgressRule, SecretReference, StoreConfig, TrackerConfig } from './config.ts'
import { parseStore } from './parse-store.ts'
import { toRetention } from './retention-settings.ts'
import type { Settings } from './settings-schema.ts'
import type { TrackerSettings } from './tracker-settings.ts'

type Bases = {
  readonly environment: Environment
  readonly places: Places
  /** What paths in the file are relative to */
  readonly fileDirectory: string
  readonly stateDirBase: string
}

type WrittenSecret = { env: string } | { file: string }

/** Checked settings as the daemon uses them: absolute paths, milliseconds, lists instead of mappings. */
export function toConfig(settings: Settings, bases: Bases): Config {
  const { places, fileDirectory } = bases
  const stateDir =
    settings['state-dir'] === undefined
      ? defaultStateDir(bases.environment, places)
      : toAbsolutePath(settings['state-dir'], bases.stateDirBase, places)
  const toSecret = (secret: WrittenSecret | null | undefined): SecretReference | null => {
    if (secret === null || secret === undefined) return null
    if ('env' in secret) return { kind: 'env', variable: secret.env }
    return { kind: 'file', path: toAbsolutePath(secret.file, fileDirectory, places) }
  }
  return {
    stateDir,
    store: toStore(settings, { stateDir, places, password: toSecret(settings['store-password']) }),
    hostName: settings.host ?? null,
    listen: {
      host: settings.listen.host,
      port: settings.listen.port === false ? null : settings.listen.port,
      allowedHosts: settings.listen['allowed-hosts'].map((name) => name.toLowerCase()),
    },
    slotCount: settings.slots,
    sandbox: {
      driver: settings.sandbox.driver,
      memoryMib: settings.sandbox['memory-mib'],
      processCountMax: settings.sandbox.processes,
      diskMib: settings.sandbox['disk-mib'],
      timeoutMs: toMs(settings.sandbox.timeout),
      warmCount: settings.sandbox.warm,
    },
    lease: { ttlMs: toMs(settings.lease.ttl), deadmanMs: toMs(settings.lease.deadman) },
    retry: {
      runCountMax: settings.retry.runs,
      backoffMs: toMs(settings.retry.backoff),
      backoffMaxMs: toMs(settings.retry['backoff-max']),
    },
    pollIntervalMs: toMs(settings.poll.interval),
    egress: [
      ...settings.egress.allow.map((endpoint) => toEgressRule(endpoint, { allowPrivate: false })),
      ...settings.egress['allow-private'].map((endpoint) => toEgressRule(endpoint, { allowPrivate: true })),
    ],
    models: Object.entries(settings.models).map(([name, model]) => ({
      name,
      protocol: model.provider === 'anthropic' ? 'anthropic-messages' : 'openai-chat',
      baseUrl: model['base-url'].replace(/\/+$/, ''),
      model: model.model,
      key: toSecret(model.key),
    })),
    routes: settings.routes.map((route) => ({
      name: route.name,
      when: {
        types: route.when.type ?? null,
        labels: route.when.labels ?? null,
        projects: route.when.project ?? null,
        titleContains: route.when['title-contains'] ?? null,
      },
      workflow: route.workflow,
      agent: route.agent ?? null,
      inputs: route.inputs,
    })),
    forges: Object.entries(settings.forges).map(([name, forge]) => ({
      name,
      kind: forge.kind,
      username: forge.username ?? null,
      credential: toSecret(forge.credential),
      hosts: (forge.hosts ?? []).map(toUrlHost),
    })),
    retention: toRetention(settings.retention),
    trackers: Object.entries(settings.trackers).map(([name, tracker]) => toTracker(name, tracker, bases)),
    log: settings.log,
  }
}

function toTracker(name: string, tracker: TrackerSettings, { fileDirectory, places }: Bases): TrackerConfig {
  const { kind, project, columns, types, priorities, labels } = tracker
  return {
    name,
    kind,
    path: toAbsolutePath(tracker.file, fileDirectory, places),
    project,
    table: tracker.table ?? null,
    columns: withoutUndefined(columns),
    statuses: mapValues(withoutUndefined(tracker.statuses), (words) => words ?? []),
    types,
    priorities,
    workflow: tracker.workflow ?? null,
    agent: tracker.agent ?? null,
    labels,
    pollIntervalMs: toMs(tracker.poll),
  }
}

function withoutUndefined<Key extends string, T>(
  record: Readonly<Partial<Record<Key, T | undefined>>>,
): Partial<Record<Key, T>> {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as Partial<Record<Key, T>>
}

function mapValues<Key extends string, T, U>(
  record: Partial<Record<Key, T>>,
  convert: (value: T) => U,
): Partial<Record<Key, U>> {
  const entries = Object.entries(record).map(([key, value]) => [key, convert(value as T)])
  return Object.fromEntries(entries) as Partial<Record<Key, U>>
}

function toEgressRule(endpoint: string, { allowPrivate }: { allowPrivate: boolean }): EgressRule {
  const colon = endpoint.lastIndexOf(':')
  const host = endpoint
    .slice(0, colon)
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase()
  return { host, port: Number(endpoint.slice(colon + 1)), allowPrivate }
}

/** As a URL of the forge spells it: lower case, the usual port left out. */
function toUrlHost(host: string): string {
  return new URL(`https://${host}`).host
}

function toMs(duration: string): number {
  const durationMs = parseDurationMs(duration)
  if (durationMs === undefined) throw new Error('mistake: a duration that the schema let through is none')
  return durationMs
}

function toStore(
  { store }: Settings,
  { stateDir, places, password }: { stateDir: string; places: Places; password: SecretReference | null },
): StoreConfig {
  const place = parseStore(store, (file) => toAbsolutePath(file, stateDir, places))
  if (typeof place === 'string') throw new Error(`store ${place}: checked before`)
  return place.kind === 'sqlite' ? place : { ...place, password }
}
