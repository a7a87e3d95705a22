import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { runProcess } from '../../src/platform/process.ts'
import { print } from '../report.ts'
import { NotAvailable } from './contract.ts'

const DIRECTORY = fileURLToPath(new URL('./peers/', import.meta.url))
const INSTALL_TIMEOUT_MS = 120_000
const require = createRequire(`${DIRECTORY}package.json`)

/**
 * The library of a peer, which is no dependency of Swarm. Its types are the caller's to say: it is not installed
 * where types are checked.
 */
export function loadPeer(name: string): unknown {
  return require(name)
}

/** Installs the peers' libraries when they are not as their lock says. Throws `NotAvailable`. */
export async function ensurePeerPackages(signal: AbortSignal): Promise<void> {
  if (await areInstalled()) return
  print(`installing what Swarm is compared with: npm ci --prefix ${DIRECTORY}`)
  const { code, stderr, timedOut } = await runProcess({
    argv: ['npm', 'ci', '--prefix', DIRECTORY, '--prefer-offline', '--loglevel', 'error'],
    cwd: DIRECTORY,
    env: npmEnvironment(),
    timeoutMs: INSTALL_TIMEOUT_MS,
    outputBytesMax: 100_000,
    signal,
  })
  if (code === 0) return
  const why = timedOut ? `no end within ${INSTALL_TIMEOUT_MS / 1000} s` : stderr.toString('utf8').trim()
  throw new NotAvailable(`npm ci --prefix ${DIRECTORY} failed: ${why.split('\n')[0]}`)
}

export async function readPeerVersion(name: string): Promise<string> {
  const text = await readFile(`${DIRECTORY}node_modules/${name}/package.json`, 'utf8')
  return `${name} ${(JSON.parse(text) as { version: string }).version}`
}

/** Every package of the lock for this platform is there in that version; npm keeps a list of what it installed. */
async function areInstalled(): Promise<boolean> {
  const [wanted, present] = await Promise.all([
    readLock('package-lock.json'),
    readLock('node_modules/.package-lock.json'),
  ])
  if (wanted === undefined || present === undefined) return false
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional === true || present[path]?.version === version,
  )
}

type Lock = Readonly<Record<string, { readonly version?: string; readonly optional?: boolean }>>

async function readLock(name: string): Promise<Lock | undefined> {
  const text = await readFile(`${DIRECTORY}${name}`, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as { packages: Lock }).packages
}

/** The user's registry, cache and proxies; not the project of the npm script that runs this. */
function npmEnvironment(): Record<string, string> {
  const isForAnother = (name: string) => /^npm_(?!config_)|^npm_config_local_prefix$/.test(name)
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || isForAnother(name) ? [] : [[name, value] as const],
    ),
  )
}
