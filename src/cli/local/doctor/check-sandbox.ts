import type { SandboxDriverName } from '../../../config/config.ts'
import { ProcessStartError, runProcess } from '../../../platform/process.ts'
import { type Check, fail, ok, warn } from './check.ts'

const PROBE_TIMEOUT_MS = 10_000
const OUTPUT_BYTES_MAX = 4000

/** Whether a sandbox of this kind can be made here: one is made, and a program is run in it. */
export async function checkSandbox(driver: SandboxDriverName, signal: AbortSignal): Promise<Check[]> {
  if (driver === 'none') {
    const fix = 'set sandbox.driver to bubblewrap'
    return [warn('sandbox', 'none: agents run on this host without any isolation', fix)]
  }
  if (driver === 'fake')
    return [warn('sandbox', 'fake: nothing is really run', 'set sandbox.driver to bubblewrap')]
  return [await probeBubblewrap(signal)]
}

async function probeBubblewrap(signal: AbortSignal): Promise<Check> {
  const argv = [
    'bwrap',
    '--unshare-all',
    '--die-with-parent',
    '--ro-bind',
    '/',
    '/',
    '--proc',
    '/proc',
    '--dev',
    '/dev',
  ]
  const request = { timeoutMs: PROBE_TIMEOUT_MS, outputBytesMax: OUTPUT_BYTES_MAX, signal }
  try {
    const result = await runProcess({ ...request, argv: [...argv, '--', 'true'] })
    if (result.code === 0) return ok('sandbox', 'bubblewrap made one and ran a program in it')
    const said = result.timedOut
      ? `no answer in ${PROBE_TIMEOUT_MS} ms`
      : result.stderr.toString('utf8').trim()
    return fail('sandbox', `bubblewrap failed: ${said}`, fixFor(said))
  } catch (error) {
    if (error instanceof ProcessStartError)
      return fail('sandbox', 'bubblewrap is not installed', 'apt-get install bubblewrap')
    throw error
  }
}

/** The usual causes, by what bubblewrap and the kernel say. */
function fixFor(said: string): string {
  if (/No permissions to creat|uid map|Operation not permitted|user namespace/i.test(said)) {
    return 'allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0'
  }
  if (/max_user_namespaces|No space left/i.test(said)) return 'sysctl -w user.max_user_namespaces=15000'
  if (/\/proc/.test(said))
    return 'this container hides /proc: start it with more rights, or run on the host itself'
  return 'run it by hand: bwrap --unshare-all --ro-bind / / --proc /proc --dev /dev true'
}
