/** What runs in the sandbox, read from /proc, and how all of it ends. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { GuestConfig } from '../src/sandbox/guest-protocol-messages.ts'

export type ProcessRow = {
  readonly pid: number
  readonly parentPid: number
  readonly groupId: number
  readonly sessionId: number
  readonly isZombie: boolean
  /** CPU time of it and of its reaped children, clock ticks */
  readonly cpuTicks: number
  readonly threadCount: number
}

const KILL_ROUNDS_MAX = 100
/** In the environment of every workload; finds what left its group and session */
export const EXEC_MARKER = 'SWARM_EXEC_ID'
export const SANDBOX_MARKER = 'SWARM_SANDBOX_ID'

/** A kill of "everything" is only for a pid namespace of our own: anything else ends this program at once. */
export function refuseHostNamespace(config: GuestConfig): void {
  if (!config.hasPidNamespace) return
  if (readlinkSync('/proc/self/ns/pid') === config.hostPidNamespace) {
    throw new Error('the guest program was to have a pid namespace of its own and has the one of the host')
  }
}

/** Kills every process of the sandbox but this one (and the namespace's own init). */
export function killEverything(config: GuestConfig, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (config.hasPidNamespace) trySignal(-1, signal)
  else killRounds(() => findMarked(`${SANDBOX_MARKER}=${config.sandboxId}`), signal)
}

/**
 * Kills an exec's group, session, descendants, and what carries its markers: both, because without a pid namespace
 * an exec of the same id in a neighbour's sandbox is seen as well.
 */
export function killTree(rootPid: number, markers: readonly string[]): void {
  killRounds(() => findTree(rootPid, markers), 'SIGKILL')
}

/** What tells the processes of an exec from all others, as it stands in their environment. */
export function toMarkers(env: Readonly<Record<string, string>>): readonly string[] {
  return [EXEC_MARKER, SANDBOX_MARKER].map((name) => `${name}=${env[name]}`)
}

/** Processes of the whole sandbox besides this program and the namespace's init. */
export function listWorkloads(config: GuestConfig): readonly ProcessRow[] {
  const rows = listProcesses()
  if (config.hasPidNamespace) return rows.filter(({ pid }) => pid !== 1 && pid !== process.pid)
  const marked = new Set(findMarked(`${SANDBOX_MARKER}=${config.sandboxId}`))
  return rows.filter(({ pid }) => marked.has(pid))
}

/** Every process that /proc shows. */
export function listProcesses(): ProcessRow[] {
  const rows: ProcessRow[] = []
  for (const name of readdirSync('/proc')) {
    const row = /^\d+$/.test(name) ? readRow(Number(name)) : undefined
    if (row !== undefined) rows.push(row)
  }
  return rows
}

function killRounds(find: () => readonly number[], signal: NodeJS.Signals): void {
  const rounds = signal === 'SIGKILL' ? KILL_ROUNDS_MAX : 1
  for (let round = 0; round < rounds; round++) {
    const pids = find()
    if (pids.length === 0) return
    for (const pid of pids) trySignal(pid, signal)
  }
}

function findTree(rootPid: number, markers: readonly string[]): readonly number[] {
  const rows = listProcesses().filter(({ pid }) => pid !== process.pid && pid !== 1)
  const inTree = new Set<number>([rootPid])
  for (let grew = true; grew; ) {
    grew = false
    for (const { pid, parentPid, groupId, sessionId } of rows) {
      if (inTree.has(pid)) continue
      if (inTree.has(parentPid) || groupId === rootPid || sessionId === rootPid) {
        inTree.add(pid)
        grew = true
      }
    }
  }
  for (const pid of findMarked(...markers)) inTree.add(pid)
  return rows.filter(({ pid, isZombie }) => inTree.has(pid) && !isZombie).map(({ pid }) => pid)
}

function findMarked(...markers: readonly string[]): number[] {
  const found: number[] = []
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!/^\d+$/.test(name) || pid === process.pid || pid === 1) continue
    const environment = readText(`/proc/${name}/environ`)?.split('\0') ?? []
    if (markers.every((marker) => environment.includes(marker))) found.push(pid)
  }
  return found
}

function readRow(pid: number): ProcessRow | undefined {
  const stat = readText(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const field = (index: number) => Number(fields[index] ?? 0)
  return {
    pid,
    isZombie: fields[0] === 'Z' || fields[0] === 'X',
    parentPid: field(1),
    groupId: field(2),
    sessionId: field(3),
    cpuTicks: field(11) + field(12) + field(13) + field(14),
    threadCount: field(17),
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // It ended in between, or it is not ours to read: either way it is not ours to kill.
    return undefined
  }
}

/** A process that is already gone is what was wanted. */
export function trySignal(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}
