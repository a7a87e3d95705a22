import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../integration/cli-process.ts'
import { COUNTER, writeFiles, writeForeignRegistry } from '../support/foreign-registry.ts'
import { startTestSwarm, type TestSwarm } from '../support/test-swarm.ts'
import { endTicket, getStep } from '../support/ticket-scene.ts'

let swarm: TestSwarm
beforeAll(async () => {
  swarm = await startTestSwarm({ config: 'slots: 2\npoll: { interval: 200ms }\n' })
  await swarm.client.projects.create({ key: 'OLD', name: 'Old registry' })
})
afterAll(async () => await swarm[Symbol.asyncDispose]())

/** A failing agent that leaves a good answer behind. */
const LIAR = { 'main.sh': 'printf \'{"words": 7}\' > "$2"\nexit 3\n' }

const AGENTS = [
  {
    name: 'Word Counter',
    version: '1.0',
    path: 'agents/counter',
    description: 'Counts',
    runtime: 'python3.11',
  },
  { name: 'liar', version: '1.0.0', path: 'agents/liar', description: 'Lies', runtime: 'bash' },
]
const STEPS = [
  { name: 'Count It', type: 'agent', agent: 'Word Counter', timeout: '1m' },
  {
    name: 'say',
    type: 'agent',
    agent: 'echo',
    depends_on: ['Count It'],
    condition: "{{steps.Count It.status}} === 'completed'",
    params: { message: 'there are {{ steps.Count It.outputs.words }} words' },
  },
]
const WORKFLOWS = [
  { name: 'Count Words', version: 1, description: 'Counts', steps: JSON.stringify(STEPS) },
  { name: 'lying', version: '1', steps: JSON.stringify([{ id: 'lie', agent: 'liar', max_retries: 0 }]) },
]

test('an imported agent and an imported workflow run a ticket in a sandbox', async () => {
  const { client, directory } = swarm
  const folder = join(directory, 'theirs')
  await writeFiles(join(folder, 'agents/counter'), COUNTER)
  await writeFiles(join(folder, 'agents/liar'), LIAR)
  const file = await writeForeignRegistry(join(folder, 'registry.db'), {
    agents: AGENTS,
    workflows: WORKFLOWS,
  })
  const stateDir = join(directory, 'state')
  const args = ['registry', 'import', file, '--state-dir', stateDir]
  expect(await runCli([...args, '-q'])).toEqual({
    code: 0,
    stdout: 'word-counter@1.0.0\nliar@1.0.0\ncount-words@1\nlying@1\n',
    stderr: '',
  })
  // What its author removes afterwards is not missed: the registry has a copy of its own.
  await rm(folder, { recursive: true })

  const counted = await endTicket(client, { project: 'OLD', title: 'one two three', workflow: 'count-words' })
  expect(counted.ticket).toMatchObject({ status: 'done' })
  expect(getStep(counted.run, 'count-it')).toMatchObject({ status: 'succeeded', outputs: { words: 3 } })
  expect(getStep(counted.run, 'say')).toMatchObject({ outputs: { message: 'there are 3 words' } })
})

test('U12: exit code is authoritative for an imported agent too: the answer it leaves is not its result', async () => {
  const { run } = await endTicket(swarm.client, { project: 'OLD', title: 'x', workflow: 'lying' })
  expect(run).toMatchObject({ status: 'failed' })
  expect(getStep(run, 'lie')).toMatchObject({ status: 'failed', reason: 'agent_failed' })
  expect(getStep(run, 'lie').outputs ?? null).toBeNull()
})
