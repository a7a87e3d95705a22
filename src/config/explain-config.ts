import type { Json } from '../domain/json.ts'
import type { LoadedConfig } from './parse-config.ts'
import type { SettingPath } from './yaml-tree.ts'

export type ExplainedSetting = {
  /** Dots between the keys: `listen.port`, `routes.0.workflow` */
  readonly setting: string
  readonly value: Json
  /** `default`, `/etc/swarm/config.yaml:3:1`, `environment SWARM_SLOTS`, `flag --state-dir` */
  readonly origin: string
}

/** Every value that holds, and who said so. A secret is shown as where it is read from. */
export function explainConfig(loaded: LoadedConfig): readonly ExplainedSetting[] {
  const { config, settings } = loaded
  const effective = Object.assign({ 'state-dir': '' }, settings, { 'state-dir': config.stateDir })
  return listLeaves(effective as Json, []).map(({ path, value }) => ({
    setting: path.join('.'),
    value,
    origin: loaded.originOf(path),
  }))
}

type Leaf = { readonly path: SettingPath; readonly value: Json }

/** Lists of plain values are one leaf, so that a line shows them whole. */
function listLeaves(value: Json | undefined, path: SettingPath): Leaf[] {
  if (value === undefined) return []
  if (typeof value !== 'object' || value === null) return [{ path, value }]
  if (Array.isArray(value)) {
    const isPlain = value.every((element) => typeof element !== 'object' || element === null)
    if (isPlain) return [{ path, value }]
    return value.flatMap((element: Json, index) => listLeaves(element, [...path, index]))
  }
  const entries = Object.entries(value)
  if (entries.length === 0) return path.length === 0 ? [] : [{ path, value }]
  return entries.flatMap(([key, element]) => listLeaves(element, [...path, key]))
}
