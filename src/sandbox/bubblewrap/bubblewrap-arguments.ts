/** The sandbox's file system and namespaces as arguments of `bwrap`; pure. */
import type { SandboxLimits } from '../contract.ts'
import { SANDBOX_ID_VARIABLE } from '../host-processes.ts'

export type BubblewrapPlan = {
  readonly bwrapPath: string
  readonly sandboxId: string
  readonly hostname: string
  readonly limits: SandboxLimits
  /** Directories and links that make up the system inside, in order */
  readonly system: readonly SystemPath[]
  /** Host files with the sandbox's own `/etc/passwd` and the like, by their path inside */
  readonly generatedFiles: Readonly<Record<string, string>>
  readonly nodePath: string
  readonly guestDirectory: string
  readonly guestFile: string
  readonly gatewayDirectory: string | undefined
  readonly readOnlyMounts: Readonly<Record<string, string>>
  /** `root`: real root, no user namespace, workloads become another user; `user`: a user namespace */
  readonly mode: 'root' | 'user'
  /** Whether a filter of system calls waits on the descriptor `FILTER_FD` */
  readonly hasFilter: boolean
}

export type SystemPath =
  | { readonly kind: 'bind'; readonly host: string; readonly guest: string }
  | { readonly kind: 'link'; readonly target: string; readonly guest: string }

const MIB = 2 ** 20
/** User and group inside a user namespace */
export const INNER_USER_ID = 1000

/**
 * Rights the guest program keeps. As root: to become the workload's user and to give it its directories. In a
 * user namespace: one that means nothing there, but makes the guest program more than its workloads, so that
 * the kernel lets them neither trace it nor read its memory.
 */
const GUEST_CAPABILITIES = {
  root: ['CAP_SETUID', 'CAP_SETGID', 'CAP_CHOWN'],
  user: ['CAP_WAKE_ALARM'],
} as const

/** Writable places beside `/workspace` and their share of the disk limit. */
const SCRATCH = { '/tmp': 0.5, '/home/agent': 0.25, '/swarm': 0.25 } as const
const SHARED_MEMORY_MIB = 64

/** `MiB` of all writable places together: they are memory, and count as such. */
export function writableMib({ diskMib }: SandboxLimits): number {
  return diskMib * 2 + SHARED_MEMORY_MIB
}

export type BubblewrapCommand = {
  /** Short: it can be read inside, so it holds the marker and no path of the host */
  readonly argv: readonly string[]
  /** The options, for the file descriptor `OPTIONS_FD`, each ended by a zero byte */
  readonly options: readonly string[]
}

/** Descriptor on which `bwrap` finds its options */
export const OPTIONS_FD = 4
/** Descriptor on which `bwrap` finds the filter of system calls */
export const FILTER_FD = 5

export function toBubblewrapCommand(plan: BubblewrapPlan): BubblewrapCommand {
  const marker = ['--setenv', SANDBOX_ID_VARIABLE, plan.sandboxId]
  return {
    argv: [
      plan.bwrapPath,
      '--clearenv',
      ...marker,
      '--args',
      String(OPTIONS_FD),
      '--',
      '/swarm/bin/node',
      `/swarm/guest/${plan.guestFile}`,
    ],
    options: toOptions(plan),
  }
}

function toOptions(plan: BubblewrapPlan): readonly string[] {
  return [
    ...namespaces(plan),
    ...capabilities(plan),
    ...(plan.hasFilter ? ['--seccomp', String(FILTER_FD)] : []),
    ...parentsOf(plan.system.map(({ guest }) => guest)),
    ...plan.system.flatMap(toSystemArguments),
    ...readOnlyFiles(plan.generatedFiles),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...tmpfs('/dev/shm', SHARED_MEMORY_MIB, '1777'),
    ...tmpfs('/workspace', plan.limits.diskMib, '0755'),
    ...Object.entries(SCRATCH).flatMap(([path, share]) =>
      tmpfs(path, Math.max(1, Math.ceil(plan.limits.diskMib * share)), path === '/tmp' ? '1777' : '0755'),
    ),
    ...directory('/swarm/attempt'),
    // A file system of its own: the first place where programs are looked for cannot be moved or written.
    ...tmpfs('/swarm/bin', 1, '0755'),
    ...['--ro-bind', plan.nodePath, '/swarm/bin/node', '--remount-ro', '/swarm/bin'],
    ...['--ro-bind', plan.guestDirectory, '/swarm/guest'],
    ...(plan.gatewayDirectory === undefined ? [] : ['--ro-bind', plan.gatewayDirectory, '/swarm/gateway']),
    ...parentsOf(Object.values(plan.readOnlyMounts)),
    ...Object.entries(plan.readOnlyMounts).flatMap(([host, guest]) => ['--ro-bind', host, guest]),
    // The two file systems that bwrap itself made have no size limit: nothing may be written there.
    ...['--remount-ro', '/dev', '--remount-ro', '/'],
    ...['--setenv', 'UV_THREADPOOL_SIZE', '2', '--chdir', '/'],
  ]
}

function namespaces({ mode, hostname }: BubblewrapPlan): readonly string[] {
  const own = ['--unshare-ipc', '--unshare-pid', '--unshare-net', '--unshare-uts', '--unshare-cgroup-try']
  const user = ['--unshare-user', '--uid', String(INNER_USER_ID), '--gid', String(INNER_USER_ID)]
  return [...(mode === 'user' ? user : []), ...own, '--hostname', hostname, '--new-session']
}

function capabilities({ mode }: BubblewrapPlan): readonly string[] {
  return ['--cap-drop', 'ALL', ...GUEST_CAPABILITIES[mode].flatMap((name) => ['--cap-add', name])]
}

function toSystemArguments(path: SystemPath): readonly string[] {
  return path.kind === 'bind' ? ['--ro-bind', path.host, path.guest] : ['--symlink', path.target, path.guest]
}

function readOnlyFiles(files: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(files).flatMap(([guest, host]) => ['--ro-bind', host, guest])
}

/** Directories that bwrap would otherwise make for root alone. */
function parentsOf(paths: readonly string[]): readonly string[] {
  const parents = new Set<string>()
  for (const path of paths) {
    const segments = path.split('/').slice(1, -1)
    for (let depth = 1; depth <= segments.length; depth++)
      parents.add(`/${segments.slice(0, depth).join('/')}`)
  }
  return [...parents].flatMap(directory)
}

function directory(path: string): readonly string[] {
  return ['--perms', '0755', '--dir', path]
}

function tmpfs(path: string, sizeMib: number, mode: string): readonly string[] {
  return ['--perms', mode, '--size', String(sizeMib * MIB), '--tmpfs', path]
}
