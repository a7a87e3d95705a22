/** Who a process is, beyond its pid: pids are reused, so a start time and a boot id go with each. */
import { readdir, readFile, readlink } from 'node:fs/promises'

/** Names one process of one boot; safe to store and to compare later. */
export type ProcessIdentity = {
  readonly pid: number
  /** Clock ticks after boot at which it started, from `/proc/<pid>/stat` */
  readonly startTime: string
  readonly bootId: string
}

/** The identity of a living process, `undefined` when it is gone (a zombie counts as gone). */
export async function findProcessIdentity(pid: number): Promise<ProcessIdentity | undefined> {
  const startTime = await readProcessStartTime(pid)
  return startTime === undefined ? undefined : { pid, startTime, bootId: await readBootId() }
}

/** Whether exactly this process still lives: same pid, same start, same boot. */
export async function isProcessAlive(identity: ProcessIdentity): Promise<boolean> {
  if (identity.bootId !== (await readBootId())) return false
  return (await readProcessStartTime(identity.pid)) === identity.startTime
}

/** Start time in clock ticks after boot, `undefined` when the process is gone or a zombie. */
export async function readProcessStartTime(pid: number): Promise<string | undefined> {
  const fields = await readStatFields(pid)
  const state = fields?.[0]
  return fields === undefined || state === 'Z' || state === 'X' ? undefined : fields[19]
}

let bootId: string | undefined
/** The kernel's name for this boot. */
export async function readBootId(): Promise<string> {
  bootId ??= (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
  return bootId
}

/** Pids of the children of a process; empty when it has none or is gone. */
export async function listChildPids(pid: number): Promise<readonly number[]> {
  const text = await readText(`/proc/${pid}/task/${pid}/children`)
  return text === undefined ? [] : text.split(' ').filter(Boolean).map(Number)
}

/** Files of processes that are open at a time */
const READ_COUNT_MAX = 32

/** Pids of all processes whose argument list or environment holds the exact text. */
export async function findPidsByMarker(
  marker: string,
  where: 'cmdline' | 'environ',
): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found: number[] = []
  for (let at = 0; at < pids.length; at += READ_COUNT_MAX) {
    const others = pids.slice(at, at + READ_COUNT_MAX).filter((pid) => pid !== process.pid)
    const texts = await Promise.all(others.map((pid) => readText(`/proc/${pid}/${where}`)))
    found.push(...others.filter((_, index) => texts[index]?.includes(marker)))
  }
  return found
}

/** The identity of the pid namespace this process lives in, such as `pid:[4026531836]`. */
export async function readPidNamespace(): Promise<string> {
  return await readlink('/proc/self/ns/pid')
}

/** Fields of `/proc/<pid>/stat` after the command name; the name may hold spaces and brackets. */
async function readStatFields(pid: number): Promise<string[] | undefined> {
  const text = await readText(`/proc/${pid}/stat`)
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return undefined
    throw error
  }
}
