import type { Duplex, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

type Identity = { readonly pid: number; readonly startTime: string; readonly bootId: string }

/** The doors to the system that a driver needs; `platform` has them. */
export type HostProcesses = {
  spawnProcess(request: {
    readonly argv: readonly string[]
    readonly env?: Readonly<Record<string, string>>
    readonly stdio?: readonly ('pipe' | 'ignore' | 'inherit' | number | object)[]
  }): {
    readonly pid: number
    readonly stdin: Writable | null
    readonly exited: Promise<unknown>
    unref(): void
  }
  listenForChild(path: string): Promise<{ readonly fd: number; release(): void }>
  connectUnixSocket(path: string, signal: AbortSignal): Promise<Duplex>
  findProcessIdentity(pid: number): Promise<Identity | undefined>
  isProcessAlive(identity: Identity): Promise<boolean>
  listChildPids(pid: number): Promise<readonly number[]>
  findPidsByMarker(marker: string, where: 'cmdline' | 'environ'): Promise<readonly number[]>
  listCgroupPids(directories: readonly string[]): Promise<readonly number[]>
  readPidNamespace(): Promise<string>
  signalProcess(pid: number, signal: 'SIGKILL'): boolean
}

/** In the arguments of everything that is started for a sandbox, and in the environment of its workloads */
export const SANDBOX_ID_VARIABLE = 'SWARM_SANDBOX_ID'
const CHECK_MS = 5

/** Kills until nothing is left of a sandbox, however it is found: its own process, groups, marker. */
export async function removeProcesses(
  record: { readonly sandboxId: string; readonly process?: Identity; readonly cgroups: readonly string[] },
  processes: HostProcesses,
  timeoutMs: number,
): Promise<{ killedCount: number; problems: string[] }> {
  const killed = new Set<number>()
  const deadline = performance.now() + timeoutMs
  let endedFromTheTop = false
  for (;;) {
    const tree = await findTree(record, processes)
    // With the init of its namespace everything inside has ended; its groups tell when that is done.
    endedFromTheTop ||= tree.length > 1 && record.cgroups.length > 0
    const pids = tree.length > 0 ? tree : await findRest(record, processes, { inGroupsOnly: endedFromTheTop })
    if (pids.length === 0) return { killedCount: killed.size, problems: [] }
    if (performance.now() > deadline) {
      return { killedCount: killed.size, problems: [`processes ${pids.join(', ')} do not end`] }
    }
    for (const pid of pids) {
      killed.add(pid)
      processes.signalProcess(pid, 'SIGKILL')
    }
    await delay(CHECK_MS)
  }
}

/** Its own process with its children first: the namespace's init, whose death ends everything inside. */
async function findTree(
  { process: recorded }: Parameters<typeof removeProcesses>[0],
  processes: HostProcesses,
): Promise<readonly number[]> {
  if (recorded === undefined || !(await processes.isProcessAlive(recorded))) return []
  return [...(await processes.listChildPids(recorded.pid)), recorded.pid]
}

async function findRest(
  { sandboxId, cgroups }: Parameters<typeof removeProcesses>[0],
  processes: HostProcesses,
  { inGroupsOnly }: { readonly inGroupsOnly: boolean },
): Promise<readonly number[]> {
  const found = await Promise.all([
    processes.listCgroupPids(cgroups),
    ...(inGroupsOnly
      ? []
      : [
          processes.findPidsByMarker(`${SANDBOX_ID_VARIABLE}\0${sandboxId}\0`, 'cmdline'),
          processes.findPidsByMarker(`${SANDBOX_ID_VARIABLE}=${sandboxId}\0`, 'environ'),
        ]),
  ])
  const living: number[] = []
  for (const pid of new Set(found.flat())) {
    // Zombies are as good as gone.
    if ((await processes.findProcessIdentity(pid)) !== undefined) living.push(pid)
  }
  return living
}
