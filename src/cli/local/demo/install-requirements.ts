import { type ProcessResult, ProcessStartError, runProcess } from '../../../platform/process.ts'

/** Where to say what happens, and what the installer may see of this process. */
export type InstallRequest = {
  /** Uses `sudo` when this process is not root's */
  readonly install: boolean
  readonly path: string
  readonly home: string
  readonly signal: AbortSignal
  /** What is needed beside what every sandbox needs */
  readonly more?: readonly Requirement[]
  say(text: string): void
}

export type Requirement = {
  readonly program: string
  readonly probe: readonly string[]
  readonly packageName: string
}

const REQUIREMENTS: readonly Requirement[] = [
  { program: 'git', probe: ['git', '--version'], packageName: 'git' },
  { program: 'bwrap', probe: ['bwrap', '--version'], packageName: 'bubblewrap' },
]
const PROBE_TIMEOUT_MS = 10_000
const INSTALL_TIMEOUT_MS = 10 * 60_000
const OUTPUT_BYTES_MAX = 256 * 1024

/**
 * Installs the Debian packages that the host lacks: as root at once, otherwise with `sudo` and only when asked to.
 * @returns whether everything is there now; when not, the line to run was printed
 */
export async function installRequirements(request: InstallRequest): Promise<boolean> {
  const missing = await findMissing(request)
  if (missing.length === 0) return true
  const packages = missing.map(({ packageName }) => packageName)
  const line = `apt-get update && apt-get install -y ${packages.join(' ')}`
  const isRoot = process.getuid?.() === 0
  const programs = missing.map(({ program }) => program).join(' and ')
  if (!isRoot && !request.install) {
    request.say(
      `${programs} must be installed first. Run:\n\n  sudo sh -c '${line}'\n\nor start this again with --install.`,
    )
    return false
  }
  request.say(`Installing what is missing: ${packages.join(', ')}`)
  const prefix = isRoot ? [] : ['sudo']
  for (const argv of [
    [...prefix, 'apt-get', 'update', '-q'],
    [...prefix, 'apt-get', 'install', '-y', '-q', '--no-install-recommends', ...packages],
  ]) {
    const failure = await runInstaller(argv, request)
    if (failure === undefined) continue
    request.say(`${argv.join(' ')} failed: ${failure}\nInstall it by hand, then start again:\n\n  ${line}`)
    return false
  }
  return (await findMissing(request)).length === 0
}

async function findMissing(request: InstallRequest): Promise<readonly Requirement[]> {
  const needed = [...REQUIREMENTS, ...(request.more ?? [])]
  const found = await Promise.all(needed.map(({ probe }) => isThere(probe, request)))
  return needed.filter((_, index) => found[index] === false)
}

async function isThere(argv: readonly string[], request: InstallRequest): Promise<boolean> {
  try {
    return (await run(argv, PROBE_TIMEOUT_MS, request)).code === 0
  } catch (error) {
    if (error instanceof ProcessStartError) return false
    throw error
  }
}

async function runInstaller(argv: readonly string[], request: InstallRequest): Promise<string | undefined> {
  try {
    const { code, stderr } = await run(argv, INSTALL_TIMEOUT_MS, request)
    return code === 0 ? undefined : stderr.toString('utf8').trim().split('\n').slice(-3).join(' ')
  } catch (error) {
    if (error instanceof ProcessStartError) return error.message
    throw error
  }
}

async function run(
  argv: readonly string[],
  timeoutMs: number,
  request: InstallRequest,
): Promise<ProcessResult> {
  return await runProcess({
    argv,
    env: { PATH: request.path, HOME: request.home, LANG: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' },
    timeoutMs,
    outputBytesMax: OUTPUT_BYTES_MAX,
    signal: request.signal,
  })
}
