import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

export const PROGRAM = join(import.meta.dirname, '../../bin/swarm.cjs')

export type CliResult = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

export type CliOptions = {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
  readonly cwd?: string
  /** Sees the process and what it has printed so far, after each piece */
  readonly onOutput?: (child: ChildProcess, stdout: string, stderr: string) => void
}

const DEADLINE_MS = 50_000

/** Runs the real program as a process, with nothing of this user's environment but what a program needs. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const home = options.env?.HOME ?? (await makeDirectory())
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd: options.cwd ?? home,
    env: { PATH: process.env.PATH, HOME: home, XDG_CONFIG_HOME: join(home, 'config'), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: DEADLINE_MS,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
    options.onOutput?.(child, stdout, stderr)
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
    options.onOutput?.(child, stdout, stderr)
  })
  // A command that reads no input may have ended already.
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? '')
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  return { code, stdout, stderr }
}

export async function makeDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'swarm-cli-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}
