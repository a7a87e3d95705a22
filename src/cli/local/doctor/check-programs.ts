import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ProcessStartError, runProcess } from '../../../platform/process.ts'
import { type Check, fail, ok } from './check.ts'

const NODE_MIN = [22, 18] as const
const GIT_MIN = [2, 34] as const
const VERSION_TIMEOUT_MS = 10_000

export function checkNode(version: string): Check {
  const isEnough = isAtLeast(version, NODE_MIN)
  return isEnough ? ok('node', version) : fail('node', `${version} is too old`, 'install Node.js 24')
}

export async function checkGit(signal: AbortSignal): Promise<Check[]> {
  const fix = 'apt-get install git'
  try {
    const argv = ['git', '--version']
    const { stdout, code } = await runProcess({
      argv,
      timeoutMs: VERSION_TIMEOUT_MS,
      outputBytesMax: 1000,
      signal,
    })
    const version = /(\d+\.\d+[\d.]*)/.exec(stdout.toString('utf8'))?.[1]
    if (code !== 0 || version === undefined) return [fail('git', 'git --version did not answer', fix)]
    if (isAtLeast(version, GIT_MIN)) return [ok('git', version)]
    return [fail('git', `${version} is older than ${GIT_MIN.join('.')}`, fix)]
  } catch (error) {
    if (error instanceof ProcessStartError) return [fail('git', 'git is not installed', fix)]
    throw error
  }
}

/** The program that supervises inside a sandbox is bundled when the package is installed. */
export function checkGuest(): Check {
  const places = ['../../../guest/swarm-guest.mjs', '../../../../dist/guest/swarm-guest.mjs']
  const found = places.some((place) => existsSync(fileURLToPath(new URL(place, import.meta.url))))
  return found
    ? ok('guest program', 'is built')
    : fail('guest program', 'dist/guest/swarm-guest.mjs is missing', 'npm run prepare')
}

function isAtLeast(version: string, [majorMin, minorMin]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > majorMin || (major === majorMin && minor >= minorMin)
}
