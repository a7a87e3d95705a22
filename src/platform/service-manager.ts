/** The service managers of this host: which is there, which one started a process. */
import { readFile, stat } from 'node:fs/promises'
import type { Environment } from './environment.ts'
import { ProcessStartError, runProcess } from './process.ts'

export type ServiceManager = 'systemd' | 'pm2'

const TIMEOUT_MS = 60_000
const OUTPUT_BYTES_MAX = 64 * 1024

/** Whether systemd runs this host: then there is this directory, says sd_booted(3). */
export async function isSystemdRunning(): Promise<boolean> {
  return await stat('/run/systemd/system').then(
    (found) => found.isDirectory(),
    () => false,
  )
}

/** Version of the systemd that is installed, such as 252; 0 when none is. */
export async function readSystemdVersion(environment: Environment): Promise<number> {
  const { text } = await runManager(['systemctl', '--version'], environment)
  return Number(/^systemd (\d+)/.exec(text)?.[1] ?? 0)
}

/** Runs a program of the service manager. @returns its output, or what went wrong */
export async function runManager(
  argv: readonly string[],
  { PATH, HOME }: Environment,
  timeoutMs = TIMEOUT_MS,
): Promise<{ readonly isDone: boolean; readonly text: string }> {
  try {
    const { code, stdout, stderr, timedOut } = await runProcess({
      argv,
      env: {
        PATH: PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: HOME ?? '/',
        LANG: 'C.UTF-8',
        SYSTEMD_PAGER: '',
      },
      timeoutMs,
      outputBytesMax: OUTPUT_BYTES_MAX,
    })
    if (code === 0) return { isDone: true, text: stdout.toString('utf8') }
    const why = timedOut ? `no end within ${timeoutMs / 1000} s` : stderr.toString('utf8').trim()
    return { isDone: false, text: why }
  } catch (error) {
    if (error instanceof ProcessStartError) return { isDone: false, text: error.message }
    throw error
  }
}

/**
 * Who started a process: the unit whose group it lives in, or PM2, which leaves its marks in the environment.
 * `null`: neither, as far as this user may see.
 */
export async function findManagerOf(pid: number, unitName: string): Promise<ServiceManager | null> {
  const groups = await readText(`/proc/${pid}/cgroup`)
  if (groups.split('\n').some((line) => line.split('/').includes(unitName))) return 'systemd'
  const variables = (await readText(`/proc/${pid}/environ`)).split('\0')
  return variables.some((variable) => variable.startsWith('pm_exec_path=')) ? 'pm2' : null
}

async function readText(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '')
}
