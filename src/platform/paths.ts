import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import type { Environment } from './environment.ts'

/** Where this process stands on the machine; what relative paths and defaults are derived from. */
export type Places = {
  readonly workingDirectory: string
  readonly home: string
  readonly isRoot: boolean
}

export function readPlaces(environment: Environment): Places {
  return {
    workingDirectory: process.cwd(),
    home: environment.HOME || homedir(),
    isRoot: process.getuid?.() === 0,
  }
}

/** Configuration files in the order they are looked for; the first that exists is the only one read. */
export function listConfigPaths(environment: Environment, places: Places): readonly string[] {
  return [xdgConfigPath(environment, places), '/etc/swarm/config.yaml']
}

/** The configuration file of this user; root's is the machine's. */
export function defaultConfigPath(environment: Environment, places: Places): string {
  return places.isRoot ? '/etc/swarm/config.yaml' : xdgConfigPath(environment, places)
}

/** Where state lives when nobody says otherwise. */
export function defaultStateDir(environment: Environment, places: Places): string {
  if (places.isRoot) return '/var/lib/swarm'
  return join(xdg(environment.XDG_STATE_HOME, places, '.local/state'), 'swarm')
}

/** An absolute path; `~/` is the user's home. */
export function toAbsolutePath(path: string, base: string, places: Pick<Places, 'home'>): string {
  if (path === '~') return places.home
  if (path.startsWith('~/')) return join(places.home, path.slice(2))
  return resolve(base, path)
}

function xdgConfigPath(environment: Environment, places: Places): string {
  return join(xdg(environment.XDG_CONFIG_HOME, places, '.config'), 'swarm', 'config.yaml')
}

/** The XDG rules say that a relative value is to be ignored. */
function xdg(value: string | undefined, places: Places, fallback: string): string {
  return value !== undefined && isAbsolute(value) ? value : join(places.home, fallback)
}
