/** What holds for every agent: each shipped package, and the fake. */
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AgentAdapter, AgentPackage, AgentRequest } from '../../src/agent/contract.ts'
import { AgentTroubleError, SANDBOX_LAYOUT } from '../../src/agent/contract.ts'
import { createFakeAdapter, createFakePackage } from '../../src/agent/fake/fake-adapter.ts'
import { packFiles } from '../../src/agent/pack-files.ts'
import { createPackageAdapter } from '../../src/agent/package/package-adapter.ts'
import { scriptLineRepair } from '../../src/cli/local/demo/model-script.ts'
import { startScriptedModel } from '../../src/cli/local/demo/scripted-model.ts'
import type { JsonObject } from '../../src/domain/json.ts'
import { createGateway } from '../../src/gateway/create-gateway.ts'
import { hashRunToken } from '../../src/gateway/run-token.ts'
import {
  type AgentRun,
  gatewayEnvironment,
  inTemporaryDirectory,
  loadPackage,
  loadShipped,
  makeTemporaryDirectory,
  relayToSocket,
  runAgent,
} from './agents-harness.ts'

const RUN_TOKEN = 'run-token-of-the-suite'

const repair = scriptLineRepair({
  needle: 'add two numbers',
  path: 'sum.mjs',
  marker: 'return',
  rewrite: (line) => line.replace('a - b', 'a + b'),
  summary: 'sum now adds.',
})

let websiteUrl: string
let env: Record<string, string>
const resources = new AsyncDisposableStack()

beforeAll(async () => {
  const directory = resources.use(await makeTemporaryDirectory())
  const model = resources.use(await startScriptedModel({ scripts: [repair], apiKey: 'real-key' }))
  const website = createServer((request, response) => response.end(`hello from ${request.url}`))
  resources.defer(async () => {
    website.closeAllConnections()
    website.close()
  })
  await new Promise<void>((resolve) => website.listen(0, '127.0.0.1', resolve))
  const { port } = website.address() as AddressInfo
  websiteUrl = `http://127.0.0.1:${port}`
  const gateway = createGateway({
    hosts: [{ host: '127.0.0.1', port, allowPrivate: true }],
    models: [
      {
        name: 'default',
        protocol: 'anthropic-messages',
        baseUrl: model.url,
        apiKey: { reveal: () => 'real-key' },
        upstreamModel: 'scripted',
      },
    ],
    now: Date.now,
  })
  const door = await gateway.openDoor({
    runId: 'run_test',
    ticketId: 'tkt_test',
    runTokenSha256: hashRunToken(RUN_TOKEN),
    expiresAt: Date.now() + 600_000,
    directory: directory.path,
    policy: { hosts: '*', models: '*' },
    onEvent: () => {},
  })
  const relay = resources.use(await relayToSocket(door.socketPath))
  // Closed before the relay, whose connections it holds.
  resources.use(door)
  env = gatewayEnvironment(relay.port, RUN_TOKEN)
})

afterAll(() => resources.disposeAsync())

type Subject = {
  readonly name: string
  readonly adapter: AgentAdapter
  load(): Promise<AgentPackage>
  /** Inputs that succeed */
  good(): JsonObject
  /** Inputs that fail, with the exit code not 0 */
  bad(): JsonObject
  /** Why they fail */
  readonly reason: string
  /** Makes the attempt fail where inputs cannot */
  sabotage?(attemptDirectory: string): Promise<void>
  readonly run?: Partial<AgentRun>
  prepareWorkspace?(directory: string): Promise<void>
}

const packages = createPackageAdapter()
const subjects: readonly Subject[] = [
  {
    name: 'echo',
    adapter: packages,
    load: () => loadShipped('echo'),
    good: () => ({ message: 'hello' }),
    bad: () => ({ message: 'hello', data: 'x' }),
    reason: 'agent_failed',
    async sabotage(attemptDirectory) {
      await mkdir(join(attemptDirectory, 'output.json'), { recursive: true })
    },
  },
  {
    name: 'script',
    adapter: packages,
    load: () => loadShipped('script'),
    good: () => ({ command: ['printf', '%s', '$(id) `id` ; "quoted"'] }),
    bad: () => ({ command: ['false'] }),
    reason: 'command_failed',
  },
  {
    name: 'http-fetch',
    adapter: packages,
    load: () => loadShipped('http-fetch'),
    good: () => ({ url: `${websiteUrl}/page` }),
    bad: () => ({ url: 'http://169.254.169.254/latest/meta-data' }),
    reason: 'http_failed',
  },
  {
    name: 'coder',
    adapter: packages,
    load: () => loadShipped('coder'),
    good: () => ({}),
    bad: () => ({ model: 'no-such-model' }),
    reason: 'input_invalid',
    run: {
      hasWorkspace: true,
      ticket: { title: 'sum must add two numbers', body: 'It subtracts.' },
      checks: [{ name: 'test', command: [process.execPath, 'check.mjs'], timeoutMs: 10_000 }],
    },
    async prepareWorkspace(directory) {
      await mkdir(directory, { recursive: true })
      await writeFile(join(directory, 'sum.mjs'), 'export function sum(a, b) {\n  return a - b\n}\n')
      await writeFile(
        join(directory, 'check.mjs'),
        "import { sum } from './sum.mjs'\nif (sum(2, 3) !== 5) throw new Error('sum is wrong')\n",
      )
    },
  },
  {
    name: 'fake',
    adapter: createFakeAdapter(),
    load: async () => createFakePackage(),
    good: () => ({ fake: [{ do: 'output', value: { done: true } }] }),
    bad: () => ({
      fake: [
        { do: 'output', value: { done: true } },
        { do: 'exit', code: 3 },
      ],
    }),
    reason: 'agent_failed',
  },
]

describe.each(subjects)('agent $name', (subject) => {
  const start = async (root: string, inputs: JsonObject, more: Partial<AgentRun> = {}) => {
    await subject.prepareWorkspace?.(join(root, 'workspace'))
    return await runAgent({
      adapter: subject.adapter,
      agent: await subject.load(),
      inputs,
      root,
      env,
      ...subject.run,
      ...more,
    })
  }

  test('runs to its end and gives outputs that match its manifest', async () => {
    await inTemporaryDirectory(async (root) => {
      const { outcome, stderr } = await start(root, subject.good())
      expect(outcome, stderr).toMatchObject({ kind: 'succeeded' })
      const agent = await subject.load()
      if (outcome.kind === 'succeeded') {
        expect(await agent.checkOutputs(outcome.outputs)).toMatchObject({ ok: true })
      }
    })
  })

  test('U12: exit code is authoritative; each attempt has its own directory', async () => {
    await inTemporaryDirectory(async (root) => {
      const first = await start(root, subject.good(), { attempt: 1 })
      expect(first.outcome.kind).toBe('succeeded')
      await subject.sabotage?.(join(root, 'attempt-2'))
      const second = await start(root, subject.bad(), { attempt: 2 })
      expect(second.exitCode).not.toBe(0)
      expect(second.outcome).toMatchObject({ kind: 'failed', reason: subject.reason })
      expect(second.outcome.kind === 'failed' && second.outcome.detail).not.toBe('')
      expect(second.layout.attempt).not.toBe(first.layout.attempt)
      expect(JSON.parse(await readFile(join(first.layout.attempt, 'output.json'), 'utf8'))).toBeTypeOf(
        'object',
      )
    })
  })

  test('what it says on standard output becomes events that are bounded and plain', async () => {
    await inTemporaryDirectory(async (root) => {
      const { events } = await start(root, subject.good())
      for (const event of events) {
        const text = 'text' in event ? event.text : ''
        expect(text.length).toBeLessThanOrEqual(1_000)
        expect(text).not.toMatch(/[\u0000-\u001f]/)
      }
    })
  })

  test('nothing of its preparation lies outside the sandbox layout, and no secret is in it', async () => {
    const agent = await subject.load()
    const request: AgentRequest = {
      package: agent,
      inputs: {},
      ticket: { key: 'WEB-1', title: '', body: '', type: null, labels: [] },
      run: { id: 'run_test', step: 'work', attempt: 1 },
      prompt: 'do it',
      feedback: 'once more',
      hasWorkspace: true,
      checks: [],
      layout: SANDBOX_LAYOUT,
    }
    const { files, env: added } = await subject.adapter.prepare(request, AbortSignal.timeout(10_000))
    for (const { path, content } of files) {
      expect(path).toMatch(/^\/swarm\/(agent|attempt)\/|^\/swarm\/(ticket\.json|prompt\.md|feedback\.md)$/)
      expect(path.split('/')).not.toContain('..')
      expect(Buffer.from(content).includes('real-key')).toBe(false)
    }
    expect(JSON.stringify(added)).not.toContain('real-key')
    const command = subject.adapter.command(request)
    expect(command.cwd).toBe('/swarm/attempt')
    expect(command.argv.slice(-2)).toEqual(['/swarm/attempt/input.json', '/swarm/attempt/output.json'])
    let bytes = 0
    for await (const chunk of packFiles(files)) bytes += (chunk as Buffer).length
    expect(bytes).toBeGreaterThan(1024)
  })
})

describe('a result counts only when it is what the manifest promises', () => {
  const strict = async () => {
    const agent = await loadShipped('echo')
    return createFakePackage({ checkOutputs: agent.checkOutputs })
  }
  const finish = async (steps: readonly JsonObject[], agent?: AgentPackage) =>
    await inTemporaryDirectory((root) =>
      runAgent({
        adapter: createFakeAdapter(),
        agent: agent ?? createFakePackage(),
        inputs: { fake: steps },
        root,
      }),
    )

  test.each<[string, readonly JsonObject[], string]>([
    ['missing', [{ do: 'exit', code: 0 }], 'result_missing'],
    ['huge', [{ do: 'output-text', text: 'x', repeat: 2_000_000 }], 'result_invalid'],
    ['not JSON', [{ do: 'output-text', text: '{"a":' }], 'result_invalid'],
    ['empty', [{ do: 'output-text', text: '' }], 'result_invalid'],
    ['not an object', [{ do: 'output', value: [1, 2] }], 'result_invalid'],
    ['nested without end', [{ do: 'output-text', text: '{"a":', repeat: 100_000 }], 'result_invalid'],
    ['a link', [{ do: 'output-link', target: '/etc/passwd' }], 'result_invalid'],
    ['poisoned', [{ do: 'output-text', text: '{"__proto__":{"x":1}}' }], 'result_invalid'],
    ['with a NUL', [{ do: 'output', value: { a: 'b\u0000' } }], 'result_invalid'],
  ])('output.json %s', async (_name, steps, reason) => {
    const { outcome } = await finish(steps)
    expect(outcome).toMatchObject({ kind: 'failed', reason })
  })

  test('deep nesting is refused, not followed', async () => {
    const text = `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`
    const { outcome } = await finish([{ do: 'output-text', text }])
    expect(outcome).toMatchObject({ kind: 'failed', reason: 'result_invalid' })
  })

  test('not matching the schema', async () => {
    const { outcome } = await finish([{ do: 'output', value: { message: 7, ticket: 'x' } }], await strict())
    expect(outcome).toMatchObject({ kind: 'failed', reason: 'result_invalid' })
    expect(outcome.kind === 'failed' && outcome.detail).toContain('/message')
  })

  test('a result beside a failing exit code counts for nothing', async () => {
    const { outcome } = await finish([
      { do: 'output', value: { done: true } },
      { do: 'exit', code: 9 },
    ])
    expect(outcome).toEqual({
      kind: 'failed',
      reason: 'agent_failed',
      detail: 'the agent ended with exit code 9',
    })
  })

  test('an agent killed by a signal has crashed', async () => {
    const { outcome } = await finish([{ do: 'kill-self', signal: 'SIGKILL' }])
    expect(outcome).toMatchObject({ kind: 'failed', reason: 'agent_crashed' })
  })

  test('an agent may name its reason, but none that is not its to give', async () => {
    const named = async (reason: string) => {
      const event = { type: 'failure', reason, detail: 'so it is', retryAfterMs: 5_000 }
      return (
        await finish([
          { do: 'event', event },
          { do: 'exit', code: 1 },
        ])
      ).outcome
    }
    expect(await named('model_rate_limited')).toMatchObject({
      reason: 'model_rate_limited',
      retryAfterMs: 5_000,
    })
    expect(await named('canceled_by_person')).toMatchObject({ reason: 'agent_failed' })
    expect(await named('sandbox_lost')).toMatchObject({ reason: 'agent_failed' })
  })

  test('a claim of success changes nothing about a failure, and a claim of failure nothing about success', async () => {
    const event = { type: 'failure', reason: 'agent_failed', detail: 'just kidding' }
    const { outcome } = await finish([
      { do: 'event', event },
      { do: 'output', value: { done: true } },
    ])
    expect(outcome).toEqual({ kind: 'succeeded', outputs: { done: true } })
  })
})

describe('what runs is what was registered', () => {
  const request = (agent: AgentPackage): AgentRequest => ({
    package: agent,
    inputs: {},
    ticket: { key: 'WEB-1', title: '', body: '', type: null, labels: [] },
    run: { id: 'run_test', step: 'work', attempt: 1 },
    prompt: null,
    feedback: null,
    hasWorkspace: false,
    checks: [],
    layout: SANDBOX_LAYOUT,
  })

  test('a package that was changed, or is gone, is not started', async () => {
    await inTemporaryDirectory(async (root) => {
      const echo = await loadShipped('echo')
      const directory = join(root, 'echo')
      await mkdir(directory)
      for (const file of ['agent.yaml', 'main.ts', 'package.json']) {
        await writeFile(join(directory, file), await readFile(join(echo.directory, file)))
      }
      const agent = await loadPackage(directory)
      const adapter = createPackageAdapter()
      await adapter.prepare(request(agent), AbortSignal.timeout(5_000))

      await writeFile(join(directory, 'main.ts'), 'process.exit(0)')
      await expect(adapter.prepare(request(agent), AbortSignal.timeout(5_000))).rejects.toMatchObject({
        code: 'package_changed',
      })
      await symlink('/etc/passwd', join(directory, 'link'))
      await expect(adapter.prepare(request(agent), AbortSignal.timeout(5_000))).rejects.toThrow(
        AgentTroubleError,
      )
      const gone = { ...agent, directory: join(root, 'gone') }
      await expect(adapter.prepare(request(gone), AbortSignal.timeout(5_000))).rejects.toMatchObject({
        code: 'package_missing',
      })
    })
  })
})
