/** Every agent in real sandboxes, with the gateway as its only way out. */
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type AgentAdapter,
  type AgentEvent,
  type AgentOutcome,
  type AgentPackage,
  type AgentRequest,
  SANDBOX_LAYOUT,
} from '../../src/agent/contract.ts'
import { createFakeAdapter, createFakePackage } from '../../src/agent/fake/fake-adapter.ts'
import { packFiles } from '../../src/agent/pack-files.ts'
import { createPackageAdapter } from '../../src/agent/package/package-adapter.ts'
import { readOutput } from '../../src/agent/read-output.ts'
import { scriptLineRepair } from '../../src/cli/local/demo/model-script.ts'
import { startScriptedModel } from '../../src/cli/local/demo/scripted-model.ts'
import { Secret } from '../../src/config/secrets.ts'
import { toId } from '../../src/domain/id.ts'
import type { JsonObject } from '../../src/domain/json.ts'
import { createGateway } from '../../src/gateway/create-gateway.ts'
import { hashRunToken } from '../../src/gateway/run-token.ts'
import type { Sandbox, SandboxDriver } from '../../src/sandbox/contract.ts'
import { runInSandbox } from '../../src/sandbox/run-in-sandbox.ts'
import { createTestSandboxDriver, spawnTestSandbox, TEST_LIMITS } from '../support/sandbox.ts'
import { gatewayEnvironment, loadShipped, makeTemporaryDirectory } from './agents-harness.ts'

const MODEL_KEY = 'planted-model-key-5e02'
const RUN_TOKEN = `run-token-${randomBytes(8).toString('hex')}`

const repair = scriptLineRepair({
  needle: 'sum must add',
  path: 'sum.mjs',
  marker: 'return',
  rewrite: (line) => line.replace('a - b', 'a + b'),
  summary: 'sum now adds.',
})

const resources = new AsyncDisposableStack()
let websitePort = 0
let modelUrl = ''

beforeAll(async () => {
  const website = createServer((request, response) => response.end(`hello from ${request.url}`))
  await new Promise<void>((resolve) => website.listen(0, '127.0.0.1', resolve))
  resources.defer(() => void website.close())
  websitePort = (website.address() as AddressInfo).port
  modelUrl = resources.use(await startScriptedModel({ scripts: [repair], apiKey: MODEL_KEY })).url
})

afterAll(() => resources.disposeAsync())

type Subject = {
  readonly name: string
  readonly adapter: AgentAdapter
  load(): Promise<AgentPackage>
  inputs(): JsonObject
  readonly hasWorkspace?: boolean
  readonly outputs: JsonObject
}

const packages = createPackageAdapter()
const subjects: readonly Subject[] = [
  {
    name: 'echo',
    adapter: packages,
    load: () => loadShipped('echo'),
    inputs: () => ({ message: 'hello' }),
    outputs: { message: 'hello', ticket: 'WEB-1' },
  },
  {
    name: 'script',
    adapter: packages,
    load: () => loadShipped('script'),
    inputs: () => ({ command: ['printf', '%s', '$HOME'] }),
    outputs: { exitCode: 0, stdout: '$HOME' },
  },
  {
    name: 'http-fetch',
    adapter: packages,
    load: () => loadShipped('http-fetch'),
    inputs: () => ({ url: `http://127.0.0.1:${websitePort}/page` }),
    outputs: { status: 200, body: 'hello from /page' },
  },
  {
    name: 'coder',
    adapter: packages,
    load: () => loadShipped('coder'),
    inputs: () => ({}),
    hasWorkspace: true,
    outputs: { changedFiles: ['sum.mjs'], checks: [{ name: 'test', isPassed: true }] },
  },
  {
    name: 'fake',
    adapter: createFakeAdapter(),
    load: async () => createFakePackage(),
    inputs: () => ({ fake: [{ do: 'output', value: { done: true } }] }),
    outputs: { done: true },
  },
]

type Ended = { outcome: AgentOutcome; events: AgentEvent[]; stderr: string; files: string }

async function runInDriver(driver: SandboxDriver, stateDir: string, subject: Subject): Promise<Ended> {
  const sandboxId = toId('sandbox', Date.now(), randomBytes(16))
  const directory = join(stateDir, 'doors', sandboxId)
  await mkdir(directory, { recursive: true, mode: 0o755 })
  const gateway = createGateway({
    hosts: [{ host: '127.0.0.1', port: websitePort, allowPrivate: true }],
    models: [
      {
        name: 'default',
        protocol: 'anthropic-messages',
        baseUrl: modelUrl,
        apiKey: new Secret(MODEL_KEY),
        upstreamModel: null,
      },
    ],
    now: Date.now,
  })
  const agent = await subject.load()
  await using _door = await gateway.openDoor({
    runId: 'run_test',
    ticketId: 'tkt_test',
    runTokenSha256: hashRunToken(RUN_TOKEN),
    expiresAt: Date.now() + 600_000,
    directory,
    policy: agent.network,
    onEvent: () => {},
  })
  const sandbox = await spawnTestSandbox(driver, {
    sandboxId,
    env: gatewayEnvironment(3128, RUN_TOKEN),
    gatewayDirectory: directory,
    limits: { ...TEST_LIMITS, memoryMib: Math.max(512, agent.memoryMib) },
  })
  try {
    return await runAgentIn(sandbox, subject, agent)
  } finally {
    await sandbox.stop({ graceMs: 0 })
  }
}

async function runAgentIn(sandbox: Sandbox, subject: Subject, agent: AgentPackage): Promise<Ended> {
  const inputs = await agent.checkInputs(subject.inputs())
  if (!inputs.ok) throw new Error(inputs.problems.join('; '))
  const request: AgentRequest = {
    package: agent,
    inputs: inputs.value,
    ticket: { key: 'WEB-1', title: 'sum must add', body: 'It subtracts.', type: null, labels: [] },
    run: { id: 'run_test', step: 'work', attempt: 1 },
    prompt: 'Do what the ticket asks.',
    feedback: null,
    hasWorkspace: subject.hasWorkspace ?? false,
    checks: [{ name: 'test', command: ['node', 'check.mjs'], timeoutMs: 20_000 }],
    layout: SANDBOX_LAYOUT,
  }
  const { files, env } = await subject.adapter.prepare(request, AbortSignal.timeout(10_000))
  await sandbox.put('/swarm', packFiles(files, '/swarm'))
  await sandbox.put(
    SANDBOX_LAYOUT.workspace,
    packFiles(
      [
        ['/sum.mjs', 'export function sum(a, b) {\n  return a - b\n}\n'],
        ['/check.mjs', "import { sum } from './sum.mjs'\nif (sum(2, 3) !== 5) throw new Error('wrong')\n"],
      ].map(([path = '', text = '']) => ({ path, mode: 0o644, content: Buffer.from(text) })),
    ),
  )
  const command = subject.adapter.command(request)
  const ended = await runInSandbox(
    sandbox,
    {
      execId: 'main',
      argv: command.argv,
      cwd: command.cwd,
      env: { ...env, ...command.env },
      timeoutMs: 60_000,
    },
    { outputBytesMax: 1_000_000 },
  )
  if (ended.kind === 'lost') throw new Error(ended.reason)
  const reader = subject.adapter.openEvents()
  const events = [...reader.push(ended.stdout), ...reader.end()]
  const failure = events.findLast((event) => event.kind === 'failure')
  const outcome = await subject.adapter.interpret(request, {
    exitCode: ended.code,
    signal: ended.signal,
    output: await readOutput((path, options) => sandbox.getFile(path, options), command.outputPath),
    failure: failure?.kind === 'failure' ? failure : null,
  })
  // Everything a curious agent could read of its own surroundings.
  const look = await runInSandbox(
    sandbox,
    {
      execId: 'look',
      argv: [
        'sh',
        '-c',
        'env; cat /proc/self/environ; cat "$1"/*.json "$2"/* 2>/dev/null; true',
        'sh',
        '/swarm',
        '/swarm/attempt',
      ],
      timeoutMs: 10_000,
    },
    { outputBytesMax: 4_000_000 },
  )
  if (look.kind === 'lost') throw new Error(look.reason)
  return { outcome, events, stderr: String(ended.stderr), files: String(look.stdout) }
}

describe.each(['bubblewrap', 'none'] as const)('in %s', (kind) => {
  let stateDir: string
  let driver: SandboxDriver
  const own = new AsyncDisposableStack()

  beforeAll(async () => {
    stateDir = own.use(await makeTemporaryDirectory()).path
    driver = await createTestSandboxDriver(kind, stateDir)
    own.defer(async () => void (await driver.gc(new Set())))
    const probe = await driver.probe(AbortSignal.timeout(20_000))
    if (!probe.ok) throw new Error(`${kind} is required here: ${probe.reason}; ${probe.fix}`)
  })

  afterAll(() => own.disposeAsync())

  test.each(subjects)('U13: $name gives the result that it gives everywhere', async (subject) => {
    const { outcome, stderr } = await runInDriver(driver, stateDir, subject)
    expect(outcome, stderr).toMatchObject({ kind: 'succeeded', outputs: subject.outputs })
  })

  test('U15: inside there is a run token and no model key', async () => {
    const coder = subjects.find(({ name }) => name === 'coder')
    if (coder === undefined) throw new Error('coder is one of the subjects')
    const { outcome, files, stderr, events } = await runInDriver(driver, stateDir, coder)
    expect(outcome.kind, stderr).toBe('succeeded')
    expect(files).toContain(RUN_TOKEN)
    expect(files + stderr + JSON.stringify(events)).not.toContain(MODEL_KEY)
  })
})
