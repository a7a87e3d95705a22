import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SwarmClient } from '../../src/client/client.ts'
import { createTestRepository, type TestRepository } from '../support/test-repository.ts'
import { startTestSwarm, type TestSwarm } from '../support/test-swarm.ts'
import { endTicket, getStep, ONCE, registerSteps } from '../support/ticket-scene.ts'

let swarm: TestSwarm
let client: SwarmClient
let repository: TestRepository

/** Writes a file with the value that the ticket gives. */
const WORK = {
  id: 'work',
  kind: 'run',
  command: ['sh', '-c', `printf "%s" "$1" > value.txt`, 'sh', `\${inputs.value}`],
  retry: ONCE,
}
const VALUE = { inputs: { value: { type: 'string', default: 'new' } }, 'done-when': 'opened' }
const PROPOSE = { id: 'propose', kind: 'pull-request', needs: ['verify'] }
const toVerify = (...commands: (readonly string[])[]) => ({
  id: 'verify',
  kind: 'verify',
  needs: ['work'],
  retry: ONCE,
  ...(commands.length === 0 ? {} : { commands }),
})

beforeAll(async () => {
  swarm = await startTestSwarm({
    config: 'slots: 2\nretry: { runs: 1 }\npoll: { interval: 200ms }\n',
  })
  client = swarm.client
  repository = await createTestRepository(swarm.directory, { 'value.txt': 'old' })
  const common = { repositoryUrl: repository.path, forge: 'local' }
  await client.projects.create({ key: 'VER', name: 'Verified', ...common })
  await client.projects.create({ key: 'BARE', name: 'Without a repository' })
})
afterAll(async () => {
  await swarm[Symbol.asyncDispose]()
})

async function verify(
  name: string,
  steps: Parameters<typeof registerSteps>[2],
  ticket: { project?: string; inputs?: { value: string } } = {},
) {
  await registerSteps(client, name, steps, VALUE)
  return await endTicket(client, { project: 'VER', title: name, workflow: name, ...ticket })
}

/** Nothing was let through: no branch, no pull request, and the step says why. */
async function expectClosed(end: Awaited<ReturnType<typeof verify>>, reason: string, detail: RegExp) {
  expect(end.ticket).toMatchObject({ status: 'failed', reason })
  const step = getStep(end.run, 'verify')
  expect(step).toMatchObject({ status: 'failed', reason })
  expect(step.detail).toMatch(detail)
  expect(end.run.steps.find(({ key }) => key === 'propose')?.status ?? 'absent').not.toBe('succeeded')
  expect((await client.pullRequests.list({ ticket: end.ticket.key })).items).toEqual([])
  expect(
    (await repository.listBranches()).filter((name) => name.includes(end.ticket.key.toLowerCase())),
  ).toEqual([])
}

describe('U7: verification fails closed:', () => {
  test('a check that fails, beside one that passes', async () => {
    const end = await verify('check-fails', [
      WORK,
      toVerify(['true'], ['sh', '-c', 'echo wrong; exit 1']),
      PROPOSE,
    ])
    await expectClosed(end, 'verification_failed', /wrong/)
    expect(getStep(end.run, 'verify').attempts[0]?.outputs).toMatchObject({
      result: 'failed',
      checks: [{ result: 'passed' }, { result: 'failed', exitCode: 1 }],
    })
  })

  test('a check whose command does not exist', async () => {
    const end = await verify('check-absent', [WORK, toVerify(['no-such-checker', '--all']), PROPOSE])
    await expectClosed(end, 'verification_error', /no-such-checker/)
  })

  test('a check that cannot reach what it checks with', async () => {
    const check = ['node', '-e', 'fetch("http://checker.invalid/").catch(() => process.exit(1))']
    await expectClosed(
      await verify('check-away', [WORK, toVerify(check), PROPOSE]),
      'verification_failed',
      /fetch/,
    )
  })

  test('a check that never ends', async () => {
    const slow = { ...toVerify(['sleep', '600']), timeout: '1s' }
    const end = await verify('check-endless', [WORK, slow, PROPOSE])
    expect(end.ticket.status).toBe('failed')
    await expectClosed(end, end.ticket.reason ?? '', /sleep|did not end/)
    expect(['timed_out', 'verification_error']).toContain(end.ticket.reason)
  })

  test('a check that is killed by a signal', async () => {
    const end = await verify('check-killed', [WORK, toVerify(['sh', '-c', 'kill -9 $$']), PROPOSE])
    await expectClosed(end, 'verification_error', /kill/)
  })

  test('no checks are declared', async () => {
    await expectClosed(
      await verify('no-checks', [WORK, toVerify(), PROPOSE]),
      'input_invalid',
      /declare the project's checks/,
    )
  })

  test('nothing was changed', async () => {
    const end = await verify('no-change', [WORK, toVerify(['true']), PROPOSE], { inputs: { value: 'old' } })
    await expectClosed(end, 'no_change', /changed nothing/)
  })

  test('there is no repository', async () => {
    const work = { id: 'work', kind: 'agent', agent: 'echo', with: { message: 'done' } }
    const end = await verify('no-repository', [work, toVerify(['true']), PROPOSE], { project: 'BARE' })
    await expectClosed(end, 'repository_missing', /no repository/)
  })

  test('the setup that the checks need fails', async () => {
    const broken = await createTestRepository(`${swarm.directory}/broken`, {
      'value.txt': 'old',
      '.swarm/project.yaml': 'setup: [[sh, -c, "test ! -f value.txt || ! grep -q new value.txt"]]\n',
    })
    await client.projects.create({
      key: 'SET',
      name: 'Setup fails on the new value',
      repositoryUrl: broken.path,
      forge: 'local',
    })
    const end = await verify('setup-fails', [WORK, toVerify(['true']), PROPOSE], { project: 'SET' })
    await expectClosed(end, 'command_failed', /setup/)
  })
})

test('U8: verification sees the commit that the run produced', async () => {
  const end = await verify('sees', [
    WORK,
    toVerify(['grep', '-qx', 'new', 'value.txt'], ['git', 'diff', '--quiet']),
    PROPOSE,
  ])
  expect(end.ticket).toMatchObject({ status: 'done' })
  const work = getStep(end.run, 'work').attempts[0]
  const check = getStep(end.run, 'verify').attempts[0]
  expect(work?.resultCommit).toMatch(/^[0-9a-f]{40}$/)
  expect(check?.baseCommit).toBe(work?.resultCommit)
  expect(work?.baseCommit).toBe(await repository.git('rev-parse', 'main'))
  const [pullRequest] = (await client.pullRequests.list({ ticket: end.ticket.key })).items
  expect(pullRequest?.headCommit).toBe(work?.resultCommit)
  expect(await repository.git('show', `${pullRequest?.branch}:value.txt`)).toBe('new')
})

test('U8: what a check changes is thrown away: the pull request holds what was verified', async () => {
  const tamper = ['sh', '-c', 'echo tampered > value.txt; git commit -qam tampered || true']
  const end = await verify('tampers', [WORK, toVerify(tamper, ['true']), PROPOSE])
  expect(end.ticket).toMatchObject({ status: 'done' })
  const [pullRequest] = (await client.pullRequests.list({ ticket: end.ticket.key })).items
  expect(await repository.git('show', `${pullRequest?.branch}:value.txt`)).toBe('new')
})

test('U12: each attempt has a directory of its own: what a failed one left is not the next one’s result', async () => {
  const program = `
const fs = require('node:fs')
if (process.env.SWARM_ATTEMPT === '1') { fs.writeFileSync('/workspace/left.txt', 'x'); fs.writeFileSync('/swarm/attempt/left.txt', 'x'); process.exit(1) }
console.log(fs.existsSync('/workspace/left.txt') + ' ' + fs.existsSync('/swarm/attempt/left.txt'))
`
  await registerSteps(client, 'stale', [
    {
      id: 'work',
      kind: 'agent',
      agent: 'script',
      with: { command: ['node', '-e', program] },
      retry: { max: 1, backoff: '10ms' },
    },
  ])
  const { ticket, run } = await endTicket(client, { project: 'VER', title: 'stale', workflow: 'stale' })
  expect(ticket.status).toBe('done')
  const work = getStep(run, 'work')
  expect(work.attempts.map(({ status }) => status)).toEqual(['failed', 'succeeded'])
  expect(work.outputs).toMatchObject({ stdout: 'false false\n' })
  expect(new Set(work.attempts.map(({ sandboxId }) => sandboxId)).size).toBe(2)
})
