import { expect, test } from 'vitest'
import { createTestRepository } from '../support/test-repository.ts'
import { startTestSwarm, type TestSwarm } from '../support/test-swarm.ts'
import { endTicket, ONCE, type Run, registerSteps, type Ticket } from '../support/ticket-scene.ts'

const DRIVERS = ['bubblewrap', 'none', 'fake'] as const
/** Arguments that a shell, a template or a terminal would do something with. */
const HOSTILE = '$(id) `id` ; && "quoted" \'single\' {{ ticket.title }} größer ✓ *'

async function startWith(driver: (typeof DRIVERS)[number]): Promise<TestSwarm> {
  return await startTestSwarm({
    config: `slots: 2\nsandbox: { driver: ${driver} }\npoll: { interval: 200ms }\n`,
  })
}

/** What a step gives, without what differs from run to run: identifiers and times. */
function toResult({ ticket, run }: { ticket: Ticket; run: Run }) {
  const timeless = (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value, (key, inner) => (key === 'durationMs' ? 0 : inner)).replaceAll(run.id, '<run>'),
    )
  return {
    ticket: { status: ticket.status, reason: ticket.reason },
    outputs: timeless(run.outputs),
    steps: run.steps.map(({ key, status, reason, outputs, attempts }) => ({
      key,
      status,
      reason,
      outputs: timeless(outputs),
      attempts: attempts.map((attempt) => ({
        status: attempt.status,
        reason: attempt.reason,
        exitCode: attempt.exitCode,
        outputs: timeless(attempt.outputs),
      })),
    })),
  }
}

const COMMANDS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  prints: { command: ['echo', HOSTILE] },
  variable: { command: ['printenv', 'GREETING'], env: { GREETING: HOSTILE } },
  named: { command: ['printenv', 'SWARM_TICKET'] },
  fails: { command: ['false'] },
  absent: { command: ['no-such-program'] },
  'no-file': { command: ['cat', '/workspace/none.txt'] },
  slow: { command: ['sleep', '30'], timeout: '1s' },
}

test('U13: every driver gives the same result for the same step: commands', async () => {
  const results = await Promise.all(
    DRIVERS.map(async (driver) => {
      await using swarm = await startWith(driver)
      const { client } = swarm
      await client.projects.create({ key: 'DRV', name: 'Drivers' })
      const steps = Object.entries(COMMANDS).map(([id, work]) => ({
        id,
        kind: 'run',
        retry: ONCE,
        'on-failure': 'continue',
        ...work,
      }))
      await registerSteps(client, 'commands', steps)
      const end = await endTicket(client, { project: 'DRV', title: 'same', workflow: 'commands' }, 30_000)
      expect(end.run.sandboxes.every((sandbox) => sandbox.driver === driver)).toBe(true)
      return toResult(end)
    }),
  )
  const [bubblewrap, none, fake] = results
  expect(bubblewrap?.steps.find(({ key }) => key === 'prints')?.outputs).toEqual({
    exitCode: 0,
    stdout: `${HOSTILE}\n`,
  })
  const statusOf = (key: string) => {
    const step = bubblewrap?.steps.find((candidate) => candidate.key === key)
    return `${step?.status} ${step?.reason} ${step?.attempts[0]?.exitCode}`
  }
  expect(statusOf('fails')).toBe('failed command_failed 1')
  expect(statusOf('absent')).toBe('failed command_failed 127')
  expect(statusOf('slow')).toMatch(/^failed timed_out/)
  expect(none).toEqual(bubblewrap)
  expect(fake).toEqual(bubblewrap)
})

test('U13: every driver gives the same result for the same step: agents and their work on a repository', async () => {
  const results = await Promise.all(
    (['bubblewrap', 'none'] as const).map(async (driver) => {
      await using swarm = await startWith(driver)
      const { client } = swarm
      const repository = await createTestRepository(swarm.directory, {
        'value.txt': 'old\n',
        'run.sh': 'true\n',
      })
      const { path: repositoryUrl } = repository
      await client.projects.create({ key: 'DRV', name: 'Drivers', repositoryUrl, forge: 'local' })
      const change =
        'cat value.txt; echo new > value.txt; chmod +x run.sh; mkdir deep; ln -s ../value.txt deep/link'
      await registerSteps(
        client,
        'agents',
        [
          { id: 'say', kind: 'agent', agent: 'echo', with: { message: HOSTILE } },
          {
            id: 'change',
            kind: 'agent',
            agent: 'script',
            needs: ['say'],
            with: { command: ['sh', '-c', change] },
          },
          { id: 'verify', kind: 'verify', needs: ['change'], commands: [['grep', 'new', 'value.txt']] },
          { id: 'propose', kind: 'pull-request', needs: ['verify'] },
        ],
        { 'done-when': 'opened', outputs: { said: `\${steps.say.outputs.message}` } },
      )
      const end = await endTicket(client, { project: 'DRV', title: 'same', workflow: 'agents' }, 30_000)
      const branch = end.ticket.branch ?? ''
      const tree = await repository.git('ls-tree', '-r', branch)
      const { steps, ...result } = toResult(end)
      // The commit is named after the moment it was made; its tree is the result.
      return { ...result, steps: steps.filter(({ key }) => key !== 'propose'), tree }
    }),
  )
  const [bubblewrap, none] = results
  expect(bubblewrap?.ticket).toEqual({ status: 'done', reason: null })
  expect(bubblewrap?.outputs).toEqual({ said: HOSTILE })
  expect(bubblewrap?.tree).toMatch(/100755 blob .*run\.sh/)
  expect(bubblewrap?.tree).toMatch(/120000 blob .*deep\/link/)
  expect(none).toEqual(bubblewrap)
})
