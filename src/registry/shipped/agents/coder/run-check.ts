/** Runs one declared check: an argument array, in the repository, with a deadline. */
import { spawn } from 'node:child_process'
import type { Check } from './input.ts'

export type CheckResult = {
  readonly isPassed: boolean
  /** Why not */
  readonly why: string
  /** The end of what it printed */
  readonly output: string
}

const KEPT_BYTES = 16 * 1024
const KILL_AFTER_MS = 3_000

export function runCheck(check: Check, workspace: string): Promise<CheckResult> {
  const [program = '', ...args] = check.command
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: workspace, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let kept: Buffer = Buffer.alloc(0)
    let isTimedOut = false
    const keep = (chunk: Buffer) => {
      kept = Buffer.concat([kept, chunk]).subarray(-KEPT_BYTES)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    const killGroup = (signal: NodeJS.Signals) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal)
      } catch {
        // It has ended by itself.
      }
    }
    let killTimer: NodeJS.Timeout | undefined
    const timer = setTimeout(() => {
      isTimedOut = true
      killGroup('SIGTERM')
      killTimer = setTimeout(() => killGroup('SIGKILL'), KILL_AFTER_MS)
    }, check.timeoutMs)
    const settle = (isPassed: boolean, why: string) => {
      clearTimeout(timer)
      clearTimeout(killTimer)
      // What a check leaves running would hold its pipes, and the agent with them.
      killGroup('SIGKILL')
      resolve({ isPassed, why, output: kept.toString('utf8') })
    }
    child.on('error', (error) => settle(false, `cannot start ${program}: ${error.message}`))
    child.on('exit', (code, signal) => {
      // The rest of the output is still on its way.
      setTimeout(() => {
        child.stdout.destroy()
        child.stderr.destroy()
      }, 1_000).unref()
      child.once('close', () => {
        if (isTimedOut) settle(false, `still running after ${check.timeoutMs} ms`)
        else settle(code === 0, code === null ? `ended by ${signal}` : `exit code ${code}`)
      })
    })
  })
}
