import { createHash } from 'node:crypto'
import { access, chmod, constants, mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type CgroupLimits,
  type CgroupSupport,
  createCgroup,
  enterCgroup,
  findCgroupSupport,
  listCgroupPids,
  listCgroups,
  readCgroupCounters,
  removeCgroup,
  removeCgroupBase,
  toCgroupDirectories,
} from '../../platform/cgroup.ts'
import { readEnvironment } from '../../platform/environment.ts'
import { signalProcess, spawnProcess } from '../../platform/process.ts'
import * as identity from '../../platform/process-identity.ts'
import { connectUnixSocket, listenForChild } from '../../platform/unix-socket.ts'
import type { ExecExit, SandboxDriver, SandboxLimits, WarmRequest } from '../contract.ts'
import type { GuestExit } from '../guest-protocol-messages.ts'
import {
  createProcessDriver,
  type Flavour,
  type Preparation,
  type ProcessDriverOptions,
} from '../process-driver.ts'
import { INNER_USER_ID, toBubblewrapCommand, writableMib } from './bubblewrap-arguments.ts'
import { probeBubblewrap } from './probe-bubblewrap.ts'
import { buildSeccompFilter } from './seccomp-filter.ts'
import { findSystemPaths } from './system-paths.ts'

export type BubblewrapDriverOptions = ProcessDriverOptions & {
  /** Left out: found in `PATH` */
  readonly bwrapPath?: string
  /** Node for the guest program and the workloads; left out: the one that runs us */
  readonly nodePath?: string
  /** `off`: no control groups even where they are possible; the limits are then soft */
  readonly cgroups?: 'auto' | 'off'
}

const MIB = 2 ** 20
/** Processes and threads that the sandbox itself needs: bwrap, its init, the guest program's threads */
const OWN_TASK_COUNT = 24
/** Memory of the guest program beside its workloads, `MiB` */
const OWN_MEMORY_MIB = 96
const REMOVE_LIMITS_TIMEOUT_MS = 3_000
/** Users above any that a system gives out; each sandbox draws its own */
const WORKLOAD_USER_BASE = 0x7000_0000
const GUEST_CHECK_MS = 2
const FILTER = buildSeccompFilter(process.arch)
const DEFAULT_PATH = '/swarm/bin:/usr/local/bin:/usr/bin:/bin'

/**
 * Sandboxes made of Linux namespaces by `bwrap`. As root the limits are hard (control groups) and workloads are
 * a user of their own; as an ordinary user the limits are soft. Looks once which of it this host can.
 */
export async function createBubblewrapDriver(options: BubblewrapDriverOptions): Promise<SandboxDriver> {
  const mode = process.getuid?.() === 0 ? 'root' : 'user'
  const nodePath = options.nodePath ?? process.execPath
  const bwrapPath = options.bwrapPath ?? (await findInPath('bwrap')) ?? 'bwrap'
  const groupName = `swarm-${createHash('sha256').update(options.stateDir).digest('hex').slice(0, 12)}`
  const support = options.cgroups === 'off' ? undefined : await findCgroupSupport(groupName)
  const flavour: Flavour = {
    name: 'bubblewrap',
    capabilities: {
      memorySnapshot: false,
      fork: false,
      limits: support === undefined ? 'soft' : 'hard',
      egress: ['none', 'gateway'],
      adopt: true,
      isolation: 'namespaces',
    },
    rehearses: true,
    probe: (signal) => probeBubblewrap({ bwrapPath, nodePath, mode, support, options }, signal),
    cgroupsOf: (sandboxId, limits) =>
      support === undefined ? [] : toCgroupDirectories(support, sandboxId, limits),
    prepare: (request, directory) =>
      prepare({ request, directory, mode, bwrapPath, nodePath, support, options }),
    limitProcess: (pid, cgroups, signal) => limitGuest(pid, cgroups, signal),
    mark: async (cgroups) => JSON.stringify(await readCgroupCounters(cgroups)),
    explainExit,
    removeLimits: (cgroups) => removeCgroup(cgroups, REMOVE_LIMITS_TIMEOUT_MS),
    removeStrayLimits: (keep) => removeStrayGroups(support, keep),
  }
  return createProcessDriver(options, flavour, {
    ...identity,
    spawnProcess,
    signalProcess,
    listenForChild,
    connectUnixSocket,
    listCgroupPids,
  })
}

async function prepare(input: {
  readonly request: WarmRequest
  readonly directory: string
  readonly mode: 'root' | 'user'
  readonly bwrapPath: string
  readonly nodePath: string
  readonly support: CgroupSupport | undefined
  readonly options: BubblewrapDriverOptions
}): Promise<Preparation> {
  const { request, directory, mode, support, options } = input
  const { limits, sandboxId, hostname } = request
  const userId = mode === 'root' ? drawUserId(options.randomBytes) : INNER_USER_ID
  const [system, generatedFiles] = await Promise.all([
    findSystemPaths(request.template.spec.rootDirectory),
    writeEtc(join(directory, 'etc'), userId, hostname),
    support === undefined ? undefined : createCgroup(support, sandboxId, toCgroupLimits(limits)),
  ])
  const { argv, options: bwrapOptions } = toBubblewrapCommand({
    bwrapPath: input.bwrapPath,
    sandboxId,
    hostname,
    limits,
    mode,
    system,
    generatedFiles,
    nodePath: input.nodePath,
    guestDirectory: dirname(options.guestProgramPath),
    guestFile: basename(options.guestProgramPath),
    gatewayDirectory: request.gatewayDirectory,
    readOnlyMounts: request.readOnlyMounts ?? {},
    hasFilter: FILTER !== undefined,
  })
  const inherited = [Buffer.from(bwrapOptions.map((option) => `${option}\0`).join('')), FILTER]
  const inheritedFiles = inherited.flatMap((content, index) =>
    content === undefined ? [] : [{ content, path: join(directory, `bwrap.${index}`) }],
  )
  await Promise.all(inheritedFiles.map(({ path, content }) => writeFile(path, content, { mode: 0o600 })))
  return {
    argv,
    inheritedFiles: inheritedFiles.map(({ path }) => path),
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    baseEnv: { HOME: '/home/agent', PATH: DEFAULT_PATH, LANG: 'C.UTF-8', TMPDIR: '/tmp', USER: 'agent' },
    config: {
      ...(mode === 'root' ? { workloadUser: { uid: userId, gid: userId } } : {}),
      ownDirectories: ['/workspace', '/home/agent', '/swarm', '/swarm/attempt'],
      workspace: '/workspace',
      argvPrefix: mode === 'root' ? [] : softPrefix(limits.processCountMax),
      pathMap: {},
      hasPidNamespace: true,
      memoryBytesMax: limits.memoryMib * MIB,
      processCountMax: limits.processCountMax,
      ...(request.gatewayDirectory === undefined
        ? {}
        : { gateway: { kind: 'socket', socketPath: '/swarm/gateway/gateway.sock', port: 3128 } }),
    },
  }
}

function toCgroupLimits(limits: SandboxLimits): CgroupLimits {
  return {
    memoryBytes: (limits.memoryMib + writableMib(limits) + OWN_MEMORY_MIB) * MIB,
    processCountMax: limits.processCountMax + OWN_TASK_COUNT,
    ...(limits.cpuCount === undefined ? {} : { cpuCount: limits.cpuCount }),
  }
}

/**
 * As an ordinary user: the number of processes is bounded inside the user namespace, and the workload gives up
 * the one right by which the guest program stands above it.
 */
function softPrefix(processCountMax: number): readonly string[] {
  return [
    ...['/usr/bin/prlimit', `--nproc=${processCountMax + OWN_TASK_COUNT}`, '--core=0', '--'],
    ...['/usr/bin/setpriv', '--ambient-caps=-all', '--inh-caps=-all', '--'],
  ]
}

async function writeEtc(
  directory: string,
  userId: number,
  hostname: string,
): Promise<Record<string, string>> {
  const files = {
    passwd: `root:x:0:0:root:/:/usr/sbin/nologin\nagent:x:${userId}:${userId}:agent:/home/agent:/bin/sh\n`,
    group: `root:x:0:\nagent:x:${userId}:\n`,
    hosts: `127.0.0.1 localhost ${hostname}\n::1 localhost\n`,
    hostname: `${hostname}\n`,
  }
  await mkdir(directory, { mode: 0o755 })
  const entries = Object.entries(files).map(([name, text]) => ({ name, text, path: join(directory, name) }))
  // Said once more, because a strict umask would hide them from the workload's user.
  await Promise.all(
    entries.map(async ({ path, text }) => {
      await writeFile(path, text)
      await chmod(path, 0o644)
    }),
  )
  return Object.fromEntries(entries.map(({ name, path }) => [`/etc/${name}`, path]))
}

/** The guest sees a killed program; the kernel's counters say whether memory or processes had run out. */
async function explainExit(
  exit: GuestExit,
  mark: string | undefined,
  cgroups: readonly string[],
): Promise<ExecExit> {
  const { code, signal, limit } = exit
  if (limit !== undefined || code === 0 || cgroups.length === 0) {
    return { code, signal, ...(limit === undefined ? {} : { limit }) }
  }
  const before = parseMark(mark)
  const after = await readCgroupCounters(cgroups)
  if (after.oomKillCount > before.oomKillCount) return { code, signal, limit: 'memory' }
  if (after.forkRefusalCount > before.forkRefusalCount) return { code, signal, limit: 'processes' }
  return { code, signal }
}

/** The mark comes back from the guest; a wrong one only mislabels its own exit. */
function parseMark(mark: string | undefined): { oomKillCount: number; forkRefusalCount: number } {
  try {
    const { oomKillCount, forkRefusalCount } = JSON.parse(mark ?? '{}') as Record<string, unknown>
    return { oomKillCount: Number(oomKillCount ?? 0), forkRefusalCount: Number(forkRefusalCount ?? 0) }
  } catch {
    return { oomKillCount: 0, forkRefusalCount: 0 }
  }
}

async function removeStrayGroups(
  support: CgroupSupport | undefined,
  keep: ReadonlySet<string>,
): Promise<readonly string[]> {
  const problems: string[] = []
  if (support === undefined) return problems
  for (const [name, directories] of await listCgroups(support)) {
    if (keep.has(name)) continue
    for (const pid of await listCgroupPids(directories)) signalProcess(pid, 'SIGKILL')
    await removeCgroup(directories, REMOVE_LIMITS_TIMEOUT_MS).catch((error: Error) =>
      problems.push(error.message),
    )
  }
  await removeCgroupBase(support)
  return problems
}

/**
 * Moves the guest program into its groups while it is still loading: nothing of a ticket runs before that is
 * done, and everything that will run descends from it. Waiting for the kernel here costs no extra time.
 */
async function limitGuest(bwrapPid: number, cgroups: readonly string[], signal: AbortSignal): Promise<void> {
  if (cgroups.length === 0) return
  for (;;) {
    signal.throwIfAborted()
    const [initPid] = await identity.listChildPids(bwrapPid)
    const [guestPid] = initPid === undefined ? [] : await identity.listChildPids(initPid)
    if (guestPid !== undefined) return await enterCgroup(cgroups, guestPid)
    await delay(GUEST_CHECK_MS, undefined, { signal })
  }
}

function drawUserId(randomBytes: (size: number) => Buffer): number {
  return WORKLOAD_USER_BASE + (randomBytes(4).readUInt32BE(0) & 0x0fff_fffe)
}

async function findInPath(name: string): Promise<string | undefined> {
  for (const directory of (readEnvironment().PATH ?? '/usr/bin:/bin').split(':')) {
    const path = join(directory, name)
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return path
  }
  return undefined
}
