/**
 * The program that the fake agent runs, alone in its sandbox. `inputs.fake` is its script: steps that are done
 * in order. It exists to misbehave on demand, so that everything around agents can be tested.
 */
import { spawn } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** One thing to do. */
export type FakeStep =
  | { do: 'print'; text: string; repeat?: number; to?: 'stdout' | 'stderr' }
  | { do: 'event'; event: { type: string; [key: string]: unknown } }
  | { do: 'wait'; ms: number }
  | { do: 'write-file'; path: string; content: string }
  | { do: 'append-file'; path: string; content: string }
  | { do: 'output'; value: unknown }
  | { do: 'output-text'; text: string; repeat?: number }
  | { do: 'output-link'; target: string }
  | { do: 'ignore-sigterm' }
  | { do: 'leave-child'; ms: number }
  | { do: 'fork-bomb'; count: number }
  | { do: 'allocate'; mib: number }
  | { do: 'fill-disk'; path: string; mib: number }
  | { do: 'spin'; ms: number }
  | { do: 'hang' }
  | { do: 'kill-self'; signal: NodeJS.Signals }
  | { do: 'exit'; code: number }
  /** Goes on with these in this attempt only; the others are skipped */
  | { do: 'on-attempt'; attempt: number; steps: FakeStep[] }

type Input = { inputs: { fake?: FakeStep[] }; run: { attempt: number }; workspace: string | null }

const [, , inputPath = 'input.json', outputPath = 'output.json'] = process.argv
const input = JSON.parse(readFileSync(inputPath, 'utf8')) as Input
const MIB = 1024 * 1024
const kept: unknown[] = []

await perform(input.inputs.fake ?? [{ do: 'output', value: { echoed: input.inputs } }])

async function perform(steps: readonly FakeStep[]): Promise<void> {
  for (const step of steps) await performOne(step)
}

async function performOne(step: FakeStep): Promise<void> {
  switch (step.do) {
    case 'print': {
      const text = Buffer.from(step.text)
      for (let i = 0; i < (step.repeat ?? 1); i++) writeAll(step.to === 'stderr' ? 2 : 1, text)
      return
    }
    case 'event':
      return writeAll(1, Buffer.from(`::swarm::${JSON.stringify(step.event)}\n`))
    case 'wait':
      return await delay(step.ms)
    case 'write-file':
      return writeFileSync(inWorkspace(step.path), step.content)
    case 'append-file':
      return appendFileSync(inWorkspace(step.path), step.content)
    case 'output':
      return writeFileSync(outputPath, JSON.stringify(step.value))
    case 'output-text':
      return writeFileSync(outputPath, step.text.repeat(step.repeat ?? 1))
    case 'output-link':
      return symlinkSync(step.target, outputPath)
    case 'ignore-sigterm':
      process.on('SIGTERM', () => {})
      process.on('SIGINT', () => {})
      return
    case 'leave-child':
      return leaveChild(step.ms)
    case 'fork-bomb':
      for (let i = 0; i < step.count; i++) leaveChild(600_000)
      return
    case 'allocate':
      for (let i = 0; i < step.mib; i++) kept.push(Buffer.alloc(MIB, 1))
      return
    case 'fill-disk':
      for (let i = 0; i < step.mib; i++) appendFileSync(inWorkspace(step.path), Buffer.alloc(MIB, 1))
      return
    case 'spin':
      for (const end = Date.now() + step.ms; Date.now() < end; );
      return
    case 'hang':
      setInterval(() => {}, 60_000)
      return await new Promise(() => {})
    case 'kill-self':
      process.kill(process.pid, step.signal)
      return await new Promise(() => {})
    case 'exit':
      return process.exit(step.code)
    case 'on-attempt':
      return step.attempt === input.run.attempt ? await perform(step.steps) : undefined
  }
}

function inWorkspace(path: string): string {
  const directory = process.env.SWARM_WORKSPACE ?? input.workspace ?? process.cwd()
  mkdirSync(directory, { recursive: true })
  return join(directory, path)
}

/** A process that outlives this one, in a session of its own. */
function leaveChild(ms: number): void {
  const child = spawn(process.execPath, ['-e', `setTimeout(() => {}, ${Number(ms)})`], {
    detached: true,
    stdio: 'ignore',
  })
  child.on('error', (error) => writeAll(2, Buffer.from(`${error.message}\n`)))
  child.unref()
}

/** Also when the pipe is full: a write to a pipe that does not block may take a part only. */
function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(descriptor, bytes, written)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}
