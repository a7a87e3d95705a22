/** Runs agents as real processes in a directory of their own, without a sandbox around them. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { lstat, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type {
  AgentAdapter,
  AgentCheck,
  AgentEvent,
  AgentFailure,
  AgentOutcome,
  AgentPackage,
  AgentRequest,
  SandboxLayout,
} from '../../src/agent/contract.ts'
import { readOutput } from '../../src/agent/read-output.ts'
import type { JsonObject } from '../../src/domain/json.ts'
import { readPackage } from '../../src/registry/read-package.ts'
import { SHIPPED_DIRECTORY } from '../../src/registry/register-shipped.ts'
import { toAgentPackage } from '../../src/registry/to-agent-package.ts'

/** A shipped agent as the registry gives it, straight from its folder. */
export async function loadShipped(name: string): Promise<AgentPackage> {
  return await loadPackage(join(SHIPPED_DIRECTORY, 'agents', name))
}

export async function loadPackage(directory: string): Promise<AgentPackage> {
  const { manifest, digest } = await readPackage(directory)
  return toAgentPackage({
    id: 'agt_00000000000000000000000000' as never,
    name: manifest.name,
    version: manifest.version,
    manifest: manifest as unknown as JsonObject,
    path: directory,
    digest,
    source: 'shipped',
    createdAt: 0,
  })
}

export type Finished = {
  readonly outcome: AgentOutcome
  readonly events: readonly AgentEvent[]
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number | null
  readonly layout: SandboxLayout
}

export type AgentRun = {
  readonly adapter: AgentAdapter
  readonly agent: AgentPackage
  readonly inputs: JsonObject
  /** Directory that stands for the sandbox */
  readonly root: string
  readonly attempt?: number
  readonly env?: Readonly<Record<string, string>>
  readonly hasWorkspace?: boolean
  readonly prompt?: string
  readonly feedback?: string
  readonly checks?: readonly AgentCheck[]
  readonly ticket?: Partial<AgentRequest['ticket']>
  readonly timeoutMs?: number
}

export async function runAgent(run: AgentRun): Promise<Finished> {
  const attempt = run.attempt ?? 1
  const layout = toLayout(run.root, attempt)
  const checked = await run.agent.checkInputs(run.inputs)
  if (!checked.ok) throw new Error(`inputs refused: ${checked.problems.join('; ')}`)
  const request: AgentRequest = {
    package: run.agent,
    inputs: checked.value,
    ticket: { key: 'WEB-1', title: 'A ticket', body: 'Its body', type: null, labels: ['one'], ...run.ticket },
    run: { id: 'run_test', step: 'work', attempt },
    prompt: run.prompt ?? null,
    feedback: run.feedback ?? null,
    hasWorkspace: run.hasWorkspace ?? false,
    checks: run.checks ?? [],
    layout,
  }
  const preparation = await run.adapter.prepare(request, AbortSignal.timeout(10_000))
  await mkdir(layout.attempt, { recursive: true })
  await mkdir(layout.workspace, { recursive: true })
  for (const { path, mode, content } of preparation.files) {
    await mkdir(dirname(path), { recursive: true })
    await rm(path, { force: true })
    await writeFile(path, content, { mode })
  }
  const command = run.adapter.command(request)
  const ended = await execute(
    command,
    { ...preparation.env, ...command.env, ...run.env },
    run.timeoutMs ?? 30_000,
  )

  const reader = run.adapter.openEvents()
  const events = [...reader.push(ended.stdout), ...reader.end()]
  const outcome = await run.adapter.interpret(request, {
    exitCode: ended.exitCode,
    signal: ended.signal,
    output: await readOutput(getFile, command.outputPath),
    failure: lastFailure(events),
  })
  const { exitCode } = ended
  return { outcome, events, stdout: `${ended.stdout}`, stderr: `${ended.stderr}`, exitCode, layout }
}

/** A directory that is removed at the end of its scope. */
export async function makeTemporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'swarm-agents-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

export async function inTemporaryDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  await using directory = await makeTemporaryDirectory()
  return await work(directory.path)
}

/** What the guest program does in a sandbox: a TCP port on loopback that leads to the gateway's socket. */
export async function relayToSocket(socketPath: string): Promise<AsyncDisposable & { port: number }> {
  const server = createServer((client) => {
    const gateway = connect(socketPath)
    client.pipe(gateway).pipe(client)
    client.on('error', () => gateway.destroy())
    gateway.on('error', () => client.destroy())
    client.on('close', () => gateway.destroy())
    gateway.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

/** The environment that a sandbox gives its processes, with the relay on this port. */
export function gatewayEnvironment(port: number, token: string): Record<string, string> {
  const proxy = `http://swarm:${token}@127.0.0.1:${port}`
  return {
    SWARM_RUN_TOKEN: token,
    SWARM_GATEWAY_URL: `http://127.0.0.1:${port}`,
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    NO_PROXY: '',
  }
}

function toLayout(root: string, attempt: number): SandboxLayout {
  return {
    node: process.execPath,
    agent: join(root, 'agent'),
    attempt: join(root, `attempt-${attempt}`),
    workspace: join(root, 'workspace'),
    ticket: join(root, 'ticket.json'),
    prompt: join(root, 'prompt.md'),
    feedback: join(root, 'feedback.md'),
  }
}

type Ended = { exitCode: number | null; signal: string | null; stdout: Buffer; stderr: Buffer }

function execute(
  command: { argv: readonly string[]; cwd: string },
  env: Record<string, string>,
  timeoutMs: number,
): Promise<Ended> {
  const [program = '', ...args] = command.argv
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: command.cwd,
      env: { PATH: process.env.PATH ?? '', HOME: command.cwd, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.on('error', reject)
    child.on('exit', (exitCode, signal) => {
      clearTimeout(timer)
      // Not `close`: what an agent leaves behind may hold the pipes.
      setTimeout(() => {
        resolve({ exitCode, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) })
      }, 50)
    })
  })
}

async function getFile(path: string, { bytesMax }: { bytesMax: number }): Promise<Uint8Array> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) throw Object.assign(new Error('absent'), { code: 'not_found' })
  if (!found.isFile()) throw Object.assign(new Error('no file'), { code: 'not_a_file' })
  if (found.size > bytesMax) throw Object.assign(new Error('large'), { code: 'too_large' })
  return await readFile(path)
}

function lastFailure(events: readonly AgentEvent[]): AgentFailure | null {
  const last = events.findLast((event) => event.kind === 'failure')
  return last?.kind === 'failure' ? last : null
}

/** Whether a program is on the path of this machine. */
export function hasProgram(name: string): boolean {
  return (process.env.PATH ?? '').split(':').some((directory) => existsSync(join(directory, name)))
}
