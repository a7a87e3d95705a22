import { readFile, rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { startDaemonProcess } from '../test/support/daemon-process.ts'
import { makeTestDirectory, writeTestConfig } from '../test/support/test-swarm.ts'

export type IdleDaemon = {
  /** Resident memory at the end, `MiB`; `fileMib` of it are pages of programs and libraries, shared by processes */
  readonly rssMib: number
  readonly fileMib: number
  /** Part of one core over the time it was watched, percent */
  readonly cpuPercent: number
  readonly threadCount: number
}

const TICK_MS = 10

/** `swarm up` as a process of its own, with its default configuration and nothing to do, read from /proc. */
export async function measureIdleDaemon(input: {
  idleMs: number
  settleMs: number
  /** Left out: the checkout's */
  program: string | undefined
}): Promise<IdleDaemon> {
  const directory = await makeTestDirectory()
  await writeTestConfig(directory, '')
  // The first start compiles and keeps what it has compiled; every later one finds it.
  const first = await startDaemonProcess(directory, {}, input.program)
  await first.signal('SIGTERM')
  const daemon = await startDaemonProcess(directory, {}, input.program)
  try {
    await delay(input.settleMs)
    const before = await readCpuMs(daemon.pid)
    const startedAt = performance.now()
    await delay(input.idleMs)
    const cpuMs = (await readCpuMs(daemon.pid)) - before
    const passedMs = performance.now() - startedAt
    const status = await readFile(`/proc/${daemon.pid}/status`, 'utf8')
    const figure = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
    return {
      rssMib: figure('VmRSS') / 1024,
      fileMib: figure('RssFile') / 1024,
      cpuPercent: (cpuMs / passedMs) * 100,
      threadCount: figure('Threads'),
    }
  } finally {
    await daemon.signal('SIGTERM')
    await rm(directory, { recursive: true, force: true })
  }
}

/** CPU time of the process so far, all its threads together, `ms` */
async function readCpuMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}
