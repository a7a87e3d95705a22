import { dirname } from 'node:path'
import { findNearest } from '../domain/nearest-word.ts'
import type { Environment } from '../platform/environment.ts'
import type { Places } from '../platform/paths.ts'
import { checkSettings } from './check-settings.ts'
import type { Config } from './config.ts'
import { ConfigError } from './config-error.ts'
import { findUnknownVariables, SETTING_VARIABLES } from './environment.ts'
import { describeIssue } from './setting-problems.ts'
import { SETTINGS_SCHEMA, type Settings } from './settings-schema.ts'
import { toConfig } from './to-config.ts'
import { parseYamlTree, type SettingPath } from './yaml-tree.ts'

export type ConfigSource = {
  /** The configuration file's content; empty when there is none */
  readonly text: string
  /** Where `text` was read from, for messages and for paths relative to it */
  readonly file: string | null
  readonly environment: Environment
  readonly places: Places
  /** What the command line says; stronger than the environment */
  readonly flags?: readonly Override[]
}

/** One setting said outside the file. */
export type Override = {
  /** Dots between the keys: `listen.port` */
  readonly setting: string
  readonly value: string | number | null
  /** Who says so: `flag --state-dir`, `environment SWARM_SLOTS` */
  readonly origin: string
}

export type LoadedConfig = {
  readonly config: Config
  /** The file that was read; `null`: there is none, defaults hold */
  readonly file: string | null
  /** The settings as written, defaults filled in */
  readonly settings: Settings
  /** Where the value at a path comes from: `default`, `/etc/swarm/config.yaml:3:1`, `environment SWARM_SLOTS` */
  originOf(path: SettingPath): string
  /** Suspicious, yet usable */
  readonly warnings: readonly string[]
}

/**
 * Turns the file's text, the environment and the flags into the daemon's configuration.
 * @throws ConfigError with every problem found, each with its place
 */
export function parseConfig(source: ConfigSource): LoadedConfig {
  const file = source.file ?? 'configuration'
  const tree = parseYamlTree(source.text, file)
  if (tree.problems.length > 0) throw new ConfigError('config_invalid', tree.problems)

  const overrides = [...readOverrides(source.environment), ...(source.flags ?? [])]
  const written = withoutEmptySections(tree.value)
  const raw = overrides.reduce(applyOverride, written)
  const overrideAt = (path: SettingPath) => overrides.findLast(({ setting }) => setting === path.join('.'))

  const parsed = SETTINGS_SCHEMA.safeParse(raw)
  if (!parsed.success) {
    const problems = parsed.error.issues.flatMap((issue) =>
      describeIssue(issue, raw, {
        where: (path) => overrideAt(path)?.origin ?? tree.whereIs(path),
        whereKey: (path) => overrideAt(path)?.origin ?? tree.whereIsKey(path),
      }),
    )
    throw new ConfigError('config_invalid', problems)
  }
  const settings = parsed.data
  const problems = checkSettings(settings).map(({ path, message, hint }) => ({
    where: overrideAt(path)?.origin ?? tree.whereIs(path),
    message: `${path.join('.')} ${message}`,
    hint,
  }))
  if (problems.length > 0) throw new ConfigError('config_invalid', problems)

  const isStateDirFromFile = overrideAt(['state-dir']) === undefined
  const fileDirectory = source.file === null ? source.places.workingDirectory : dirname(source.file)
  const config = toConfig(settings, {
    ...source,
    fileDirectory,
    stateDirBase: isStateDirFromFile ? fileDirectory : source.places.workingDirectory,
  })
  return {
    config,
    file: source.file,
    settings,
    originOf: (path) =>
      overrideAt(path)?.origin ?? (isWritten(written, path) ? tree.whereIs(path) : 'default'),
    warnings: warnAboutVariables(source.environment, config),
  }
}

function readOverrides(environment: Environment): Override[] {
  return SETTING_VARIABLES.flatMap(({ variable, setting, type }) => {
    const text = environment[variable]?.trim()
    if (text === undefined || text === '') return []
    return [
      { setting, value: type === 'text' ? text : toNumber(text, type), origin: `environment ${variable}` },
    ]
  })
}

/** What is no number stays text, so that the schema refuses it with its place. */
function toNumber(text: string, type: 'number' | 'number-or-none'): string | number | null {
  if (type === 'number-or-none' && (text === 'none' || text === 'null' || text === 'false')) return null
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text
}

/** `sandbox:` with nothing below it, as in a file whose lines are comments, says nothing. */
function withoutEmptySections(value: unknown): unknown {
  if (!isMapping(value)) return value
  return Object.fromEntries(Object.entries(value).filter(([, section]) => section !== null))
}

function applyOverride(raw: unknown, { setting, value }: Override): unknown {
  return setAt(raw, setting.split('.'), value)
}

/** A copy with the value set; a parent that is no mapping is left for the schema to refuse. */
function setAt(target: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value
  if (!isMapping(target)) return target
  return { ...target, [key]: setAt(rest.length === 0 ? value : (target[key] ?? {}), rest, value) }
}

/** Whether the file says something at the path; a scalar stands for all that it was read as. */
function isWritten(written: unknown, path: SettingPath): boolean {
  let value = written
  for (const step of path) {
    if (value === undefined) return false
    if (typeof value !== 'object' || value === null) return true
    value = Object.hasOwn(value, step) ? (value as Record<string | number, unknown>)[step] : undefined
  }
  return value !== undefined
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function warnAboutVariables(environment: Environment, config: Config): string[] {
  const references = [
    ...config.models.map(({ key }) => key),
    ...config.forges.map((forge) => forge.credential),
    config.store.kind === 'postgres' ? config.store.password : null,
  ]
  const referenced = new Set(references.flatMap((each) => (each?.kind === 'env' ? [each.variable] : [])))
  const known = SETTING_VARIABLES.map(({ variable }) => variable)
  return findUnknownVariables(environment, referenced).map((name) => {
    const nearest = findNearest(name, known)
    return `the environment variable ${name} means nothing here${nearest ? `: did you mean ${nearest}?` : ''}`
  })
}
