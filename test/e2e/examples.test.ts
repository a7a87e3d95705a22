import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load-config.ts'
import { createTestRepository } from '../support/test-repository.ts'
import { startTestSwarm, type TestSwarm } from '../support/test-swarm.ts'
import { waitForTicket } from '../support/wait-for.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url))

let swarm: TestSwarm
beforeAll(async () => {
  swarm = await startTestSwarm()
  const repository = await createTestRepository(swarm.directory, {
    'package.json': JSON.stringify({ name: 'x', private: true, workspaces: ['api', 'web'] }),
    'api/package.json': JSON.stringify({ name: 'api', version: '1.0.0', scripts: { test: 'node -e 0' } }),
    'web/package.json': JSON.stringify({ name: 'web', version: '1.0.0', scripts: { test: 'exit 3' } }),
  })
  await swarm.client.projects.create({
    key: 'EX',
    name: 'Examples',
    repositoryUrl: repository.path,
    forge: 'local',
  })
  for (const name of await readdir(`${EXAMPLES}workflows`)) {
    await swarm.client.workflows.register({ text: await readFile(`${EXAMPLES}workflows/${name}`, 'utf8') })
  }
})
afterAll(async () => await swarm[Symbol.asyncDispose]())

test('the example configuration is valid', async () => {
  const places = { home: '/nonexistent', workingDirectory: '/', isRoot: true }
  const { config } = await loadConfig({ configPath: `${EXAMPLES}config.yaml`, environment: {}, places })
  expect(config.routes.map(({ name }) => name)).toEqual(['bugs', 'docs'])
})

test('the example agent can be registered and counts the words of a ticket', async () => {
  const { client } = swarm
  await client.agents.register({ path: `${EXAMPLES}agents/word-count` })
  await client.workflows.register({
    text: 'name: count\nversion: 1\nsteps:\n  - id: count\n    kind: agent\n    agent: word-count\n',
  })
  const { key } = await client.tickets.create({
    project: 'EX',
    title: 'one',
    body: 'two three',
    workflow: 'count',
  })
  const ticket = await waitForTicket(client, key, 'done')
  expect(ticket.outputs).toEqual({ count: { words: 3, longest: 'three' } })
})

test('one command in every package: the ones that fail do not stop the others', async () => {
  const { client } = swarm
  const { key } = await client.tickets.create({ project: 'EX', title: 'test all', workflow: 'every-package' })
  const ticket = await waitForTicket(client, key, 'done')
  const run = await client.runs.get(ticket.currentRunId ?? '')
  expect(run.steps.map(({ key: step, status }) => `${step} ${status}`).sort()).toEqual([
    'report succeeded',
    'test[0] succeeded',
    'test[1] failed',
  ])
})

test('ask first: nothing runs before a person says yes, and a no ends it', async () => {
  const { client } = swarm
  const { key } = await client.tickets.create({ project: 'EX', title: 'change', workflow: 'ask-first' })
  const waiting = await waitForTicket(client, key, 'waiting')
  const runId = waiting.currentRunId ?? ''
  expect((await client.runs.get(runId)).sandboxes).toEqual([])
  await client.runs.reject(runId, { comment: 'not now' })
  const failed = await waitForTicket(client, key, 'failed')
  expect(failed.reason).toBe('rejected')
})

test('an agent that needs more memory than the operator gives fails at once and says so', async () => {
  const { client, directory } = swarm
  const greedy = join(directory, 'greedy')
  await cp(`${EXAMPLES}agents/word-count`, greedy, { recursive: true })
  const manifest = (await readFile(`${greedy}/agent.yaml`, 'utf8')).replace(
    'name: word-count',
    'name: greedy',
  )
  await writeFile(`${greedy}/agent.yaml`, `${manifest}memory-mib: 1000000\n`)
  await client.agents.register({ path: greedy })
  await client.workflows.register({
    text: 'name: greedy\nversion: 1\nsteps:\n  - id: take\n    kind: agent\n    agent: greedy\n',
  })
  const { key } = await client.tickets.create({ project: 'EX', title: 'all of it', workflow: 'greedy' })
  const ticket = await waitForTicket(client, key, 'failed')
  expect(ticket).toMatchObject({ reason: 'sandbox_unavailable', runCount: 1, deadAt: null })
  expect(ticket.detail).toContain('sandbox.memory-mib')
})
