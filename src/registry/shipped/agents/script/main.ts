/** Runs one command. What it prints goes on to our own output as it comes; the end of it becomes the result. */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'

type Input = {
  inputs: {
    command: [string, ...string[]]
    env?: Record<string, string>
    stdin?: string
    'timeout-ms'?: number
    'accepted-exit-codes'?: number[]
  }
  workspace: string | null
}

const KEPT_BYTES = 64 * 1024
const KILL_AFTER_MS = 5_000
const EXIT_NOT_STARTED = 127

const [, , inputPath = 'input.json', outputPath = 'output.json'] = process.argv
const { inputs, workspace } = JSON.parse(readFileSync(inputPath, 'utf8')) as Input
const [program, ...args] = inputs.command
const startedAt = Date.now()

const child = spawn(program, args, {
  cwd: process.env.SWARM_WORKSPACE ?? workspace ?? process.cwd(),
  env: { ...process.env, ...inputs.env },
  stdio: ['pipe', 'pipe', 'pipe'],
  // A group of its own, so that a time-out reaches what it started too.
  detached: true,
})
const stdout = keepEnd(child.stdout, process.stdout)
const stderr = keepEnd(child.stderr, process.stderr)
let isTimedOut = false
const timeoutMs = inputs['timeout-ms'] ?? 1_500_000
const timer = setTimeout(() => {
  isTimedOut = true
  killGroup('SIGTERM')
  setTimeout(() => killGroup('SIGKILL'), KILL_AFTER_MS).unref()
}, timeoutMs)
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => killGroup(signal))

child.on('error', (error) => fail(`cannot start ${program}: ${error.message}`, EXIT_NOT_STARTED))
child.on('close', (code, signal) => {
  clearTimeout(timer)
  if (isTimedOut) return fail(`${program} was still running after ${timeoutMs} ms`, 1)
  if (code === null) return fail(`${program} was ended by ${signal}`, 1)
  if (!(inputs['accepted-exit-codes'] ?? [0]).includes(code)) {
    return fail(`${program} ended with exit code ${code}${lastLine()}`, code === 0 ? 1 : code)
  }
  const result = {
    exitCode: code,
    stdout: stdout.text(),
    stderr: stderr.text(),
    isTruncated: stdout.isTruncated() || stderr.isTruncated(),
    durationMs: Date.now() - startedAt,
  }
  writeFileSync(outputPath, JSON.stringify(result))
})
child.stdin.on('error', () => {})
child.stdin.end(inputs.stdin ?? '')

function killGroup(signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  } catch {
    // It has ended by itself.
  }
}

function fail(detail: string, exitCode: number): void {
  process.stdout.write(
    `\n::swarm::${JSON.stringify({ type: 'failure', reason: 'command_failed', detail })}\n`,
  )
  process.exitCode = exitCode
}

function lastLine(): string {
  const line = (stderr.text().trim() || stdout.text().trim()).split('\n').at(-1)
  return line === undefined || line === '' ? '' : `: ${line.slice(0, 500)}`
}

/** Passes a stream on and keeps its last bytes. */
function keepEnd(stream: Readable, to: Writable): { text(): string; isTruncated(): boolean } {
  let kept: Buffer = Buffer.alloc(0)
  let seen = 0
  stream.on('data', (chunk: Buffer) => {
    seen += chunk.length
    kept = Buffer.concat([kept, chunk]).subarray(-KEPT_BYTES)
    // Reads no faster than our own reader does.
    if (!to.write(chunk)) {
      stream.pause()
      to.once('drain', () => stream.resume())
    }
  })
  return {
    text: () => kept.toString('utf8').replaceAll('\u0000', '\ufffd'),
    isTruncated: () => seen > KEPT_BYTES,
  }
}
