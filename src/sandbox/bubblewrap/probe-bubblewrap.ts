import { access, constants, readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { CgroupSupport } from '../../platform/cgroup.ts'
import { ProcessStartError, runProcess } from '../../platform/process.ts'
import type { ProbeResult } from '../contract.ts'
import type { ProcessDriverOptions } from '../process-driver.ts'
import { toBubblewrapCommand } from './bubblewrap-arguments.ts'
import { buildSeccompFilter } from './seccomp-filter.ts'
import { findSystemPaths } from './system-paths.ts'

const PROBE_TIMEOUT_MS = 5_000
const OUTPUT_BYTES_MAX = 16_384
const PROBE_LIMITS = { memoryMib: 64, processCountMax: 64, diskMib: 8 }

type ProbeInput = {
  readonly bwrapPath: string
  readonly nodePath: string
  readonly mode: 'root' | 'user'
  readonly support: CgroupSupport | undefined
  readonly options: ProcessDriverOptions
}

/** Runs `node --version` where the guest program would run: the same namespaces, mounts and rights. */
export async function probeBubblewrap(input: ProbeInput, signal: AbortSignal): Promise<ProbeResult> {
  const { bwrapPath, nodePath, mode, support, options } = input
  const detail: Record<string, string> = {
    bwrap: bwrapPath,
    node: nodePath,
    runsAs: mode === 'root' ? 'root' : 'an ordinary user',
    limits: support === undefined ? 'soft' : `hard, control groups version ${support.version}`,
  }
  const refuse = (reason: string, fix: string): ProbeResult => ({ ok: false, reason, fix, detail })
  if (!(await isReadable(options.guestProgramPath))) {
    return refuse(`the guest program ${options.guestProgramPath} is missing`, 'npm run prepare')
  }
  for (const tool of mode === 'user' ? ['/usr/bin/prlimit', '/usr/bin/setpriv'] : ['/bin/sh']) {
    if (!(await isReadable(tool))) return refuse(`${tool} is missing`, 'apt-get install util-linux')
  }
  if (!(await isReadable('/proc/sys/kernel/seccomp/actions_avail'))) {
    return refuse('this kernel has no filters of system calls', 'use a kernel with CONFIG_SECCOMP_FILTER')
  }
  const version = await run([bwrapPath, '--version'], signal)
  if (version === 'absent') return refuse('bubblewrap is not installed', 'apt-get install bubblewrap')
  detail.version = version.stdout.trim()
  const argv = await toProbeArguments(input)
  const result = await run(argv, signal)
  if (result === 'absent') return refuse('bubblewrap vanished', 'apt-get install bubblewrap')
  if (result.code === 0) return { ok: true, detail, warnings: toWarnings(input) }
  detail.message = result.timedOut ? `no answer within ${PROBE_TIMEOUT_MS} ms` : result.stderr.slice(0, 1000)
  return refuse(`a sandbox cannot be started: ${detail.message}`, await findFix(result.stderr))
}

/** The options are plain arguments here: nobody inside reads them. */
async function toProbeArguments({
  bwrapPath,
  nodePath,
  mode,
  options,
}: ProbeInput): Promise<readonly string[]> {
  const plan = {
    bwrapPath,
    sandboxId: 'probe',
    hostname: 'probe',
    limits: PROBE_LIMITS,
    system: await findSystemPaths(undefined),
    generatedFiles: {},
    nodePath,
    guestDirectory: dirname(options.guestProgramPath),
    guestFile: basename(options.guestProgramPath),
    gatewayDirectory: undefined,
    readOnlyMounts: {},
    mode,
    // Read from a descriptor, which a plain run does not have; that the kernel takes one is looked up instead.
    hasFilter: false,
  }
  const command = toBubblewrapCommand(plan)
  return [bwrapPath, ...command.options, '--', '/swarm/bin/node', '--version']
}

function toWarnings({ mode, support }: ProbeInput): readonly string[] {
  const how =
    mode === 'root' ? 'mount the memory, pids and cpu controllers' : 'run as root, or delegate control groups'
  return [
    ...(support === undefined
      ? [`limits are soft (rlimits and a watchdog): ${how} to have the kernel enforce them`]
      : []),
    ...(buildSeccompFilter(process.arch) === undefined
      ? [`system calls are not filtered: the numbers of ${process.arch} are not known`]
      : []),
  ]
}

async function run(argv: readonly string[], signal: AbortSignal) {
  try {
    const result = await runProcess({
      argv,
      env: { PATH: '/usr/bin:/bin' },
      timeoutMs: PROBE_TIMEOUT_MS,
      outputBytesMax: OUTPUT_BYTES_MAX,
      signal,
    })
    return { ...result, stdout: result.stdout.toString(), stderr: result.stderr.toString().trim() }
  } catch (error) {
    if (error instanceof ProcessStartError) return 'absent'
    throw error
  }
}

/** The setting of this host that stands in the way, as far as it can be told. */
async function findFix(message: string): Promise<string> {
  const settings = [
    [
      '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
      '1',
      'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (or install the AppArmor profile of bwrap)',
    ],
    ['/proc/sys/kernel/unprivileged_userns_clone', '0', 'sysctl -w kernel.unprivileged_userns_clone=1'],
    ['/proc/sys/user/max_user_namespaces', '0', 'sysctl -w user.max_user_namespaces=10000'],
  ] as const
  for (const [path, bad, fix] of settings) {
    const value = await readFile(path, 'utf8').catch(() => '')
    if (value.trim() === bad) return fix
  }
  if (/Operation not permitted|Permission denied/.test(message)) {
    return 'allow namespaces: in a container run it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined, or use a host without that restriction'
  }
  if (/loading shared libraries|No such file/.test(message)) {
    return 'use a node binary whose libraries are below /usr or /lib'
  }
  return 'see the message of bwrap above'
}

async function isReadable(path: string): Promise<boolean> {
  return await access(path, constants.R_OK).then(
    () => true,
    () => false,
  )
}
