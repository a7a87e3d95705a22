/**
 * Limits that the kernel enforces for a group of processes: control groups, version 1 or 2 as found. Groups
 * are made below the one this process lives in, so that limits set on us hold for them too.
 */
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const CONTROLLERS = ['memory', 'pids', 'cpu'] as const
type Controller = (typeof CONTROLLERS)[number]

export type CgroupSupport =
  | { readonly version: 1; readonly directories: Readonly<Record<Controller, string>> }
  | { readonly version: 2; readonly directory: string }

export type CgroupLimits = {
  readonly memoryBytes: number
  readonly processCountMax: number
  readonly cpuCount?: number
}

export type CgroupCounters = {
  /** Processes killed because the group was out of memory */
  readonly oomKillCount: number
  /** Forks refused because the group had its number of processes */
  readonly forkRefusalCount: number
}

/**
 * Group of a coordinator that systemd gave a group of its own (`DelegateSubgroup=`). Groups with limits are made beside
 * it: one that holds a process, as the service's own group otherwise would, cannot hand controllers down.
 */
export const COORDINATOR_GROUP = 'swarm-coordinator'
const CPU_PERIOD_US = 100_000
const ENABLE = CONTROLLERS.map((controller) => `+${controller}`).join(' ')
const MAKE_ATTEMPT_COUNT = 5

/**
 * The place where groups with limits can be made; `undefined` when this process has none (no right, no
 * controller). Really makes and removes a group to find out.
 * @param mountPoint where control groups are mounted; another one in tests
 */
export async function findCgroupSupport(
  name: string,
  mountPoint = '/sys/fs/cgroup',
  ownGroups = '/proc/self/cgroup',
): Promise<CgroupSupport | undefined> {
  const lines = (await readFile(ownGroups, 'utf8').catch(() => '')).trim().split('\n')
  const own = new Map(
    lines.flatMap((line) => {
      const [, controllers = '', ...path] = line.split(':')
      return controllers.split(',').map((controller) => [controller, path.join(':')] as const)
    }),
  )
  return (
    (await tryVersion2(name, mountPoint, own.get('') ?? '/')) ?? (await tryVersion1(name, mountPoint, own))
  )
}

/** Makes a group and sets its limits. Repeating is fine. */
export async function createCgroup(
  support: CgroupSupport,
  name: string,
  limits: CgroupLimits,
): Promise<void> {
  const quotaUs = limits.cpuCount === undefined ? undefined : Math.round(limits.cpuCount * CPU_PERIOD_US)
  if (support.version === 2) {
    const directory = join(support.directory, name)
    await makeDirectory(directory)
    await writeFile(join(support.directory, 'cgroup.subtree_control'), ENABLE)
    await writeFile(join(directory, 'memory.max'), String(limits.memoryBytes))
    await writeFile(join(directory, 'memory.swap.max'), '0').catch(ignoreAbsent)
    await writeFile(join(directory, 'pids.max'), String(limits.processCountMax))
    if (quotaUs !== undefined) await writeFile(join(directory, 'cpu.max'), `${quotaUs} ${CPU_PERIOD_US}`)
    return
  }
  const { memory, pids, cpu } = support.directories
  for (const directory of toCgroupDirectories(support, name, limits)) await makeDirectory(directory)
  await writeFile(join(memory, name, 'memory.limit_in_bytes'), String(limits.memoryBytes))
  await writeFile(join(memory, name, 'memory.memsw.limit_in_bytes'), String(limits.memoryBytes)).catch(
    ignoreAbsent,
  )
  await writeFile(join(pids, name, 'pids.max'), String(limits.processCountMax))
  if (quotaUs !== undefined) {
    await writeFile(join(cpu, name, 'cpu.cfs_period_us'), String(CPU_PERIOD_US))
    await writeFile(join(cpu, name, 'cpu.cfs_quota_us'), String(quotaUs))
    await writeFile(
      join(cpu, name, 'cpu.shares'),
      String(Math.max(2, Math.round(1024 * (limits.cpuCount ?? 1)))),
    )
  }
}

/**
 * The directories of a group. In version 1 one without a CPU limit stays out of the CPU hierarchy: there a group
 * weighs as much as one process beside it, and everything in it would have to share that.
 */
export function toCgroupDirectories(
  support: CgroupSupport,
  name: string,
  limits: { readonly cpuCount?: number },
): readonly string[] {
  if (support.version === 2) return [join(support.directory, name)]
  const { memory, pids, cpu } = support.directories
  return [memory, pids, ...(limits.cpuCount === undefined ? [] : [cpu])].map((base) => join(base, name))
}

/** Moves a process into the groups; what it starts from then on is in them too. */
export async function enterCgroup(directories: readonly string[], pid: number): Promise<void> {
  const files = directories.map((directory) => join(directory, 'cgroup.procs'))
  await Promise.all(files.map((file) => writeFile(file, String(pid))))
}

export async function readCgroupCounters(directories: readonly string[]): Promise<CgroupCounters> {
  const read = async (file: string, key: string) =>
    Math.max(0, ...(await Promise.all(directories.map((place) => readCounter(join(place, file), key)))))
  const [killCount, killCountOfVersion1, forkRefusalCount] = await Promise.all([
    read('memory.events', 'oom_kill'),
    read('memory.oom_control', 'oom_kill'),
    read('pids.events', 'max'),
  ])
  return { oomKillCount: Math.max(killCount, killCountOfVersion1), forkRefusalCount }
}

/** Pids of the processes in the groups. */
export async function listCgroupPids(directories: readonly string[]): Promise<readonly number[]> {
  const pids = new Set<number>()
  for (const directory of directories) {
    const text = await readFile(join(directory, 'cgroup.procs'), 'utf8').catch(ignoreAbsent)
    for (const pid of (text ?? '').split('\n').filter(Boolean)) pids.add(Number(pid))
  }
  return [...pids]
}

/** Removes empty groups, and the place around them with the last; the kernel needs a moment after the last process. @throws when they stay busy */
export async function removeCgroup(directories: readonly string[], timeoutMs: number): Promise<void> {
  for (const directory of directories) {
    for (let waitedMs = 0; ; waitedMs += 5) {
      try {
        await rmdir(directory)
        break
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'ENOENT') break
        if (code !== 'EBUSY' || waitedMs >= timeoutMs) throw error
        await delay(5)
      }
    }
    await removeEmptyDirectory(dirname(directory))
  }
}

/** Directories of each group below the place, by name. */
export async function listCgroups(support: CgroupSupport): Promise<ReadonlyMap<string, readonly string[]>> {
  const bases = support.version === 2 ? [support.directory] : Object.values(support.directories)
  const groups = new Map<string, string[]>()
  for (const base of bases) {
    const entries = await readdir(base, { withFileTypes: true }).catch(ignoreAbsent)
    for (const entry of entries ?? []) {
      if (entry.isDirectory())
        groups.set(entry.name, [...(groups.get(entry.name) ?? []), join(base, entry.name)])
    }
  }
  return groups
}

/** Removes the place itself when no group is left in it; the next group makes it again. */
export async function removeCgroupBase(support: CgroupSupport): Promise<void> {
  const bases = support.version === 2 ? [support.directory] : Object.values(support.directories)
  for (const base of bases) await removeEmptyDirectory(base)
}

async function removeEmptyDirectory(directory: string): Promise<void> {
  await rmdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'EBUSY' && error.code !== 'ENOTEMPTY') throw error
  })
}

/** Somebody may just be removing the empty place around it: then once more. */
async function makeDirectory(directory: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await mkdir(directory, { recursive: true })
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt >= MAKE_ATTEMPT_COUNT) throw error
    }
  }
}

async function tryVersion1(
  name: string,
  mountPoint: string,
  own: ReadonlyMap<string, string>,
): Promise<CgroupSupport | undefined> {
  const directories = {} as Record<Controller, string>
  for (const controller of CONTROLLERS) {
    const path = own.get(controller)
    if (path === undefined) return undefined
    directories[controller] = join(mountPoint, controller, path, name)
  }
  try {
    for (const directory of Object.values(directories)) await mkdir(directory, { recursive: true })
    const support = { version: 1, directories } as const
    await removeCgroupBase(support)
    return support
  } catch {
    // No right to make a group here: there are no hard limits, and the capability says so.
    return undefined
  }
}

async function tryVersion2(
  name: string,
  mountPoint: string,
  ownPath: string,
): Promise<CgroupSupport | undefined> {
  const nearest = basename(ownPath) === COORDINATOR_GROUP ? dirname(ownPath) : ownPath
  for (const base of [join(mountPoint, nearest), mountPoint]) {
    try {
      const controllers = (await readFile(join(base, 'cgroup.controllers'), 'utf8')).trim().split(' ')
      if (!CONTROLLERS.every((controller) => controllers.includes(controller))) return undefined
      const directory = join(base, name)
      await mkdir(directory, { recursive: true })
      // A group with processes of its own cannot give controllers to its children: then the next one up is tried.
      await writeFile(join(base, 'cgroup.subtree_control'), ENABLE)
      await writeFile(join(directory, 'cgroup.subtree_control'), ENABLE)
      const support = { version: 2, directory } as const
      await removeCgroupBase(support)
      return support
    } catch {
      await rmdir(join(base, name)).catch(() => {})
    }
  }
  return undefined
}

async function readCounter(path: string, key: string): Promise<number> {
  const text = await readFile(path, 'utf8').catch(ignoreAbsent)
  const line = (text ?? '').split('\n').find((candidate) => candidate.startsWith(`${key} `))
  return line === undefined ? 0 : Number(line.slice(key.length + 1))
}

function ignoreAbsent(error: NodeJS.ErrnoException): undefined {
  if (!['ENOENT', 'ENODEV', 'EOPNOTSUPP', 'EINVAL'].includes(error.code ?? '')) throw error
}
