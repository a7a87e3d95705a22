import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { SwarmClient } from '../../src/client/client.ts'
import { type DaemonProcess, runSwarm, startDaemonProcess } from '../support/daemon-process.ts'
import { createTestRepository, type TestRepository } from '../support/test-repository.ts'
import { makeTestDirectory, writeTestConfig } from '../support/test-swarm.ts'
import { waitFor, waitForEvent, waitForTicket } from '../support/wait-for.ts'

const LINE_COUNT = 40
/** Prints a line every 50 ms, changes the workspace, and says how often it ran. */
const PROGRAM = `
const fs = require('node:fs')
fs.appendFileSync('/workspace/ran.txt', 'once\\n')
let line = 0
const timer = setInterval(() => {
  console.log('line ' + ++line)
  if (line === ${LINE_COUNT}) clearInterval(timer)
}, 50)
`
const WORKFLOW = `name: crash
version: 1
done-when: opened
steps:
  - id: work
    kind: agent
    agent: script
    with:
      command: [node, -e, ${JSON.stringify(PROGRAM)}]
  - id: verify
    kind: verify
    needs: [work]
    commands: [[test, -f, ran.txt]]
  - id: propose
    kind: pull-request
    needs: [verify]
`

type Scene = { daemon: DaemonProcess; directory: string; repository: TestRepository; key: string }
let scene: Scene | undefined

afterEach(async () => {
  await scene?.daemon.kill()
  if (scene !== undefined) await rm(scene.directory, { recursive: true, force: true })
  scene = undefined
})

async function begin(): Promise<Scene> {
  const directory = await makeTestDirectory()
  await writeTestConfig(directory, 'slots: 1\nlog: { level: info }\n')
  const repository = await createTestRepository(directory, { 'README.md': '# Crash\n' })
  const daemon = await startDaemonProcess(directory)
  const { client } = daemon
  await client.projects.create({ key: 'CR', name: 'Crash', repositoryUrl: repository.path, forge: 'local' })
  await client.workflows.register({ text: WORKFLOW })
  const { key } = await client.tickets.create({ project: 'CR', title: 'survive', workflow: 'crash' })
  scene = { daemon, directory, repository, key }
  return scene
}

async function restart(current: Scene): Promise<SwarmClient> {
  await current.daemon.kill()
  current.daemon = await startDaemonProcess(current.directory)
  return current.daemon.client
}

async function readLog(client: SwarmClient, runId: string): Promise<string> {
  return await new Response(await client.runs.readLog({ runId, stepKey: 'work', attempt: 1 })).text()
}

/** Everything that must hold whatever the moment of the crash was. */
async function expectOneResult(client: SwarmClient, { repository, key }: Scene) {
  const ticket = await waitForTicket(client, key, 'done')
  const run = await client.runs.get(ticket.currentRunId ?? '')
  const work = run.steps.find((step) => step.key === 'work')
  expect(run.number).toBe(1)
  expect(work?.attempts.map(({ number, status }) => ({ number, status }))).toEqual([
    { number: 1, status: 'succeeded' },
  ])
  const lines = (await readLog(client, run.id)).split('\n').filter((line) => line.startsWith('line '))
  expect(lines).toEqual(Array.from({ length: LINE_COUNT }, (_, index) => `line ${index + 1}`))
  const { items: pullRequests } = await client.pullRequests.list({ ticket: key })
  expect(pullRequests.map(({ number, status }) => ({ number, status }))).toEqual([
    { number: 1, status: 'open' },
  ])
  const branches = await repository.listBranches()
  expect([...branches].sort()).toEqual(['main', pullRequests[0]?.branch])
  expect(await repository.git('show', `${pullRequests[0]?.branch}:ran.txt`)).toBe('once')
  expect(run.sandboxes.every((sandbox) => sandbox.status === 'gone' || sandbox.status === 'lost')).toBe(true)
  return { run, workSandboxes: run.sandboxes.filter((sandbox) => sandbox.stepInstanceId === work?.id) }
}

test('U5: killed during await, the sandbox is adopted, the output is complete, there is one result', async () => {
  const current = await begin()
  const { client } = current.daemon
  await waitForEvent(
    client,
    current.key,
    ({ type, data }) => type === 'attempt.phase_changed' && data.phase === 'awaiting',
  )
  await new Promise((resolve) => setTimeout(resolve, 500))
  const after = await restart(current)
  const { workSandboxes } = await expectOneResult(after, current)
  expect(workSandboxes).toHaveLength(1)
  expect(current.daemon.log()).toContain('sandbox adopted')
})

test('killed during launch, nothing of the step has run twice', async () => {
  const current = await begin()
  await waitForEvent(current.daemon.client, current.key, ({ type }) => type === 'sandbox.created')
  const after = await restart(current)
  const { workSandboxes } = await expectOneResult(after, current)
  expect(workSandboxes.length).toBeLessThanOrEqual(2)
})

test('killed during launch with the sandbox there already, it is adopted', async () => {
  const current = await begin()
  await waitForEvent(current.daemon.client, current.key, ({ type }) => type === 'sandbox.ready')
  const after = await restart(current)
  const { workSandboxes } = await expectOneResult(after, current)
  expect(workSandboxes).toHaveLength(1)
})

test('killed during harvest, the work is brought home once', async () => {
  const current = await begin()
  await waitForEvent(
    current.daemon.client,
    current.key,
    ({ type, data }) => type === 'attempt.phase_changed' && data.phase === 'harvesting',
  )
  const after = await restart(current)
  const { workSandboxes } = await expectOneResult(after, current)
  expect(workSandboxes).toHaveLength(1)
})

test('killed while the pull request is sent, there is no second branch and no second pull request', async () => {
  const current = await begin()
  await waitForEvent(current.daemon.client, current.key, ({ type }) => type === 'effect.enqueued')
  const after = await restart(current)
  await expectOneResult(after, current)
})

test('P4: a second coordinator on the same store refuses to start and changes nothing', async () => {
  const current = await begin()
  await rm(join(current.directory, 'state', 'daemon.json'))
  const second = await runSwarm(['--config', join(current.directory, 'config.yaml'), 'up'])
  expect(second.code).not.toBe(0)
  expect(second.stderr).toContain(String(current.daemon.pid))
  await expectOneResult(current.daemon.client, current)
})

test('told to end politely, it leaves the sandbox to the next start, which adopts it', async () => {
  const current = await begin()
  await waitForEvent(
    current.daemon.client,
    current.key,
    ({ type, data }) => type === 'attempt.phase_changed' && data.phase === 'awaiting',
  )
  expect(await current.daemon.signal('SIGTERM')).toBe(0)
  current.daemon = await startDaemonProcess(current.directory)
  const { workSandboxes } = await expectOneResult(current.daemon.client, current)
  expect(workSandboxes).toHaveLength(1)
})

test('told to end and wait, it lets the held run end first', async () => {
  const current = await begin()
  await waitForEvent(
    current.daemon.client,
    current.key,
    ({ type, data }) => type === 'attempt.phase_changed' && data.phase === 'awaiting',
  )
  expect(await current.daemon.signal('SIGUSR2')).toBe(0)
  current.daemon = await startDaemonProcess(current.directory)
  const ticket = await current.daemon.client.tickets.get(current.key)
  expect(ticket.status).toBe('done')
  await expectOneResult(current.daemon.client, current)
})

test('a second signal cuts the waiting short and still leaves the sandbox to be adopted', async () => {
  const current = await begin()
  await waitForEvent(
    current.daemon.client,
    current.key,
    ({ type, data }) => type === 'attempt.phase_changed' && data.phase === 'awaiting',
  )
  process.kill(current.daemon.pid, 'SIGUSR2')
  await waitFor('the first signal was heard', async () =>
    current.daemon.log().includes('wait') ? true : undefined,
  )
  expect(await current.daemon.signal('SIGTERM')).toBe(0)
  current.daemon = await startDaemonProcess(current.directory)
  const { workSandboxes } = await expectOneResult(current.daemon.client, current)
  expect(workSandboxes).toHaveLength(1)
})
