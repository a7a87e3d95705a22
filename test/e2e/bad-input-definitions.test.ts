import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SwarmClient } from '../../src/client/client.ts'
import { expectProblem } from '../support/expect-problem.ts'
import { commitTo } from '../support/git-repository.ts'
import { createTestRepository, type TestRepository } from '../support/test-repository.ts'
import { startTestSwarm, type TestSwarm } from '../support/test-swarm.ts'
import { endTicket, ONCE, registerSteps, writeAgentPackage } from '../support/ticket-scene.ts'

let swarm: TestSwarm
let client: SwarmClient
let repository: TestRepository

beforeAll(async () => {
  swarm = await startTestSwarm({ config: 'slots: 2\npoll: { interval: 200ms }\n' })
  client = swarm.client
  repository = await createTestRepository(swarm.directory, {
    '.swarm/workflows/cyclic.yaml':
      'name: cyclic\nversion: 1\nsteps:\n  - { id: a, kind: run, needs: [b], command: [x] }\n  - { id: b, kind: run, needs: [a], command: [x] }\n',
    '.swarm/prompts/ok.md': 'Hello {{ ticket.title }}',
    '.swarm/prompts/broken.md': 'Hello\n{{ ticket.nothing }}',
    'secret.md': 'outside the prompts',
  })
  const { path: repositoryUrl } = repository
  await client.projects.create({ key: 'DEF', name: 'Definitions', repositoryUrl, forge: 'local' })
  await client.projects.create({ key: 'NONE', name: 'Nothing configured' })
})
afterAll(async () => {
  await swarm[Symbol.asyncDispose]()
})

describe('U6: what cannot be routed fails at once with its reason:', () => {
  test('a ticket that nothing routes', async () => {
    const { ticket, run } = await endTicket(client, { project: 'NONE', title: 'lost' })
    expect(ticket).toMatchObject({ status: 'failed', reason: 'unroutable', runCount: 1, deadAt: null })
    expect(ticket.detail).toContain('swarm ticket edit NONE-')
    expect(run).toMatchObject({ status: 'failed', reason: 'unroutable', steps: [], sandboxes: [] })
    const explained = await client.tickets.explain(ticket.key)
    expect(explained.result.kind).toBe('unroutable')
    expect(explained.rules.every(({ isMatch }) => !isMatch)).toBe(true)
  })

  test('a ticket that names a workflow which is not there', async () => {
    const { ticket } = await endTicket(client, {
      project: 'NONE',
      title: 'lost',
      workflow: 'no-such-workflow',
    })
    expect(ticket).toMatchObject({ status: 'failed', reason: 'workflow_invalid' })
    expect(ticket.detail).toContain('"no-such-workflow"')
    const version = await endTicket(client, { project: 'NONE', title: 'lost', workflow: 'linear@9.9.9' })
    expect(version.ticket).toMatchObject({ status: 'failed', reason: 'workflow_invalid' })
  })

  test('a ticket that names an agent which is not there', async () => {
    const ticketInput = { project: 'DEF', title: 'lost', workflow: 'code-change', agent: 'no-such-agent' }
    const { ticket, run } = await endTicket(client, ticketInput)
    expect(ticket).toMatchObject({ status: 'failed', reason: 'agent_unknown', deadAt: null })
    expect(ticket.detail).toContain('no-such-agent')
    expect(run.sandboxes).toEqual([])
  })

  test('a ticket whose inputs the workflow does not take', async () => {
    const inputs = { mesage: 'hello' }
    const { ticket } = await endTicket(client, {
      project: 'NONE',
      title: 'x',
      workflow: 'echo-chain',
      inputs,
    })
    expect(ticket).toMatchObject({ status: 'failed', reason: 'input_invalid' })
    expect(ticket.detail).toContain('mesage')
  })

  test('an agent that is given what it does not take', async () => {
    await registerSteps(
      client,
      'wrong-input',
      [{ id: 'say', kind: 'agent', agent: 'echo', with: { message: `\${inputs.what}` } }],
      { inputs: { what: 'number' } },
    ).catch(async () => {
      // Found before anything runs: that is better still, and then nothing is left to run.
    })
    const { items } = await client.workflows.list()
    if (!items.some(({ name }) => name === 'wrong-input')) return
    const { ticket } = await endTicket(client, {
      project: 'NONE',
      title: 'x',
      workflow: 'wrong-input',
      inputs: { what: 3 },
    })
    expect(ticket).toMatchObject({ status: 'failed', reason: 'input_invalid' })
  })

  test('a step whose reference leads nowhere when its time comes', async () => {
    await registerSteps(client, 'nowhere', [
      { id: 'first', kind: 'agent', agent: 'echo', with: { data: { a: 1 } } },
      { id: 'second', kind: 'run', needs: ['first'], command: ['echo', `\${steps.first.outputs.data.b.c}`] },
    ])
    const { ticket, run } = await endTicket(client, { project: 'NONE', title: 'x', workflow: 'nowhere' })
    expect(ticket).toMatchObject({ status: 'failed', reason: 'reference_unresolved' })
    expect(ticket.detail).toContain('steps.first.outputs.data.b')
    expect(run.steps[1]?.attempts).toEqual([])
  })

  test('an agent that needs a repository in a project that has none', async () => {
    const { ticket } = await endTicket(client, { project: 'NONE', title: 'x', workflow: 'code-change' })
    expect(ticket).toMatchObject({ status: 'failed', reason: 'repository_missing' })
    expect(ticket.detail).toContain('swarm project edit NONE')
  })

  test('a project whose repository is not there, or whose forge is not configured', async () => {
    await client.projects.create({
      key: 'GONE',
      name: 'Gone',
      repositoryUrl: `${swarm.directory}/nowhere.git`,
      forge: 'local',
    })
    const gone = await endTicket(client, { project: 'GONE', title: 'x', workflow: 'linear' })
    expect(gone.ticket).toMatchObject({ status: 'failed', reason: 'repository_missing' })
    const created = await client.projects
      .create({ key: 'FORGE', name: 'Forge', repositoryUrl: repository.path, forge: 'no-such-forge' })
      .then(
        () => true,
        () => false,
      )
    if (!created) return
    const forge = await endTicket(client, { project: 'FORGE', title: 'x', workflow: 'linear' })
    expect(forge.ticket).toMatchObject({ status: 'failed', reason: 'repository_refused' })
    expect(forge.ticket.detail).toContain('no-such-forge')
  })
})

describe('a workflow that is wrong is refused with file, line and column:', () => {
  const HEAD = 'name: wrong\nversion: 1\nsteps:\n'
  test.each([
    ['no YAML', 'name: wrong\nversion: 1\nsteps: [', /^ *workflow\.yaml:3:\d+: /m],
    ['a tab as indentation', 'name: wrong\nversion: 1\nsteps:\n\t- id: a\n', /:4:1: /],
    ['a key twice', `name: a\nname: b\nversion: 1\nsteps: []\n`, /:2:1: /],
    ['an alias', `${HEAD}  - &a { id: a, kind: run, command: [x] }\n  - *a\n`, /:4:\d+: .*(anchor|alias)/],
    [
      'an unknown key',
      `${HEAD}  - { id: a, kind: run, command: [x], need: [b] }\n`,
      /:4:\d+: unknown key "need".*"needs"/,
    ],
    ['an unknown kind', `${HEAD}  - { id: a, kind: rnu }\n`, /:4:\d+: .*"rnu".*"run"/],
    ['a line for a shell', `${HEAD}  - { id: a, kind: run, command: rm -rf / }\n`, /:4:\d+: .*no shell/],
    ['an unknown step', `${HEAD}  - { id: a, kind: run, needs: [bb], command: [x] }\n`, /:4:\d+: .*"bb"/],
    [
      'a reference to an unknown step',
      `${HEAD}  - { id: a, kind: run, command: ['\${steps.b.outputs.x}'] }\n`,
      /:4:\d+: .*"b"/,
    ],
    [
      'a reference to a step that is no need',
      `${HEAD}  - { id: a, kind: run, command: [x] }\n  - { id: b, kind: run, command: ['\${steps.a.outputs.stdout}'] }\n`,
      /:5:\d+: .*(needs|before)/,
    ],
    [
      'steps that need each other',
      `${HEAD}  - { id: a, kind: run, needs: [b], command: [x] }\n  - { id: b, kind: run, needs: [a], command: [x] }\n`,
      /:4:\d+: .*(a.*b|b.*a)/,
    ],
    ['a step that needs itself', `${HEAD}  - { id: a, kind: run, needs: [a], command: [x] }\n`, /:4:\d+: /],
    [
      'a step that can never run',
      `${HEAD}  - { id: a, kind: run, command: [x] }\n  - { id: b, kind: run, needs: [a], if: "steps.a.status == 'failed'", command: [x] }\n`,
      /:5:\d+: .*never run/,
    ],
    ['an agent that is not there', `${HEAD}  - { id: a, kind: agent, agent: ecoh }\n`, /:4:\d+: .*"ecoh"/],
    [
      'an input of an agent that it does not take',
      `${HEAD}  - { id: a, kind: agent, agent: echo, with: { mesage: x } }\n`,
      /:4:\d+: .*mesage/,
    ],
    [
      'a prompt file outside the prompts',
      `${HEAD}  - { id: a, kind: agent, agent: echo, prompt-file: ../../secret.md }\n`,
      /:4:\d+: /,
    ],
    [
      'a template with a mistake',
      `${HEAD}  - { id: a, kind: agent, agent: echo, prompt: '{% include "x" %}' }\n`,
      /:4:\d+: /,
    ],
  ])('%s', async (_, text, expected) => {
    const { items: before } = await client.workflows.list()
    const problem = await expectProblem(client.workflows.register({ text }), 422, 'workflow_invalid')
    expect(`${problem.message}\n${problem.detail}\n${JSON.stringify(problem.errors)}`).toMatch(expected)
    const { problems } = await client.workflows.validate({ text })
    expect(problems.join('\n')).toMatch(expected)
    expect((await client.workflows.list()).items).toEqual(before)
  })

  test('one of the repository: the ticket fails with its place', async () => {
    const { ticket } = await endTicket(client, { project: 'DEF', title: 'x', workflow: 'cyclic' })
    expect(ticket).toMatchObject({ status: 'failed', reason: 'workflow_invalid' })
    expect(ticket.detail).toMatch(/^\.swarm\/workflows\/cyclic\.yaml:4:\d+: /)
  })

  test('a registered version never changes', async () => {
    await registerSteps(client, 'fixed', [{ id: 'a', kind: 'run', command: ['true'] }])
    await expectProblem(
      registerSteps(client, 'fixed', [{ id: 'a', kind: 'run', command: ['false'] }]),
      409,
      'version_taken',
    )
  })
})

describe('a project file that is wrong fails the ticket with its place:', () => {
  test.each([
    ['no YAML', 'checks: [', /^\.swarm\/project\.yaml:1:\d+: /],
    ['a line for a shell', 'checks: [npm test]\n', /^\.swarm\/project\.yaml:1:\d+: /],
    ['an unknown key', 'setup: []\nchekcs: []\n', /project\.yaml:\d+:\d+: .*chekcs/],
  ])('%s', async (what, text, expected) => {
    const key = `P${what.replaceAll(/\W/g, '').slice(0, 8).toUpperCase()}`
    const directory = `${swarm.directory}/${key}`
    const { path } = await createTestRepository(directory, { '.swarm/project.yaml': text })
    await client.projects.create({ key, name: what, repositoryUrl: path, forge: 'local' })
    const { ticket } = await endTicket(client, { project: key, title: 'x', workflow: 'linear' })
    expect(ticket).toMatchObject({ status: 'failed', reason: 'workflow_invalid' })
    expect(ticket.detail).toMatch(expected)
  })
})

describe('prompts of a repository', () => {
  const toStep = (file: string) => ({
    id: 'say',
    kind: 'agent',
    agent: 'script',
    with: { command: ['sh', '-c', 'cat "$SWARM_PROMPT_FILE"'] },
    'prompt-file': file,
    retry: ONCE,
  })

  test('are read, and a mistake in one fails the step with its line', async () => {
    await registerSteps(client, 'prompt-ok', [toStep('ok.md')])
    const good = await endTicket(client, { project: 'DEF', title: 'World', workflow: 'prompt-ok' })
    expect(good.run.steps[0]?.outputs).toMatchObject({ stdout: 'Hello World' })
    await registerSteps(client, 'prompt-broken', [toStep('broken.md')])
    const broken = await endTicket(client, { project: 'DEF', title: 'x', workflow: 'prompt-broken' })
    expect(broken.ticket).toMatchObject({ status: 'failed', reason: 'reference_unresolved' })
    expect(broken.ticket.detail).toMatch(/line 2.*nothing/)
    await registerSteps(client, 'prompt-absent', [toStep('absent.md')])
    const absent = await endTicket(client, { project: 'DEF', title: 'x', workflow: 'prompt-absent' })
    expect(absent.ticket).toMatchObject({ status: 'failed', reason: 'input_invalid' })
  })

  test('U14: a prompt that is a link leads nowhere', async () => {
    await commitTo(repository.path, 'main', {}, async (clone) => {
      const { symlink } = await import('node:fs/promises')
      await symlink('../../secret.md', `${clone}/.swarm/prompts/link.md`)
      await symlink('/etc/passwd', `${clone}/.swarm/prompts/outside.md`)
    })
    for (const file of ['link.md', 'outside.md']) {
      const name = `prompt-${file.replace('.', '-')}`
      await registerSteps(client, name, [toStep(file)])
      const { ticket, run } = await endTicket(client, { project: 'DEF', title: 'x', workflow: name })
      expect(JSON.stringify(run.steps)).not.toMatch(/root:|outside the prompts/)
      // A link is a small file with a path in it: what it names is never opened.
      expect(['done', 'failed']).toContain(ticket.status)
    }
  })
})

describe('an agent package that is wrong is refused with line and column:', () => {
  const GOOD = { runtime: 'sh', entry: 'main.sh', inputs: { type: 'object' }, outputs: { type: 'object' } }
  test.each([
    ['an unknown key', { ...GOOD, entyr: 'x' }, /entyr/],
    ['an entry outside it', { ...GOOD, entry: '../../../etc/passwd' }, /entry/],
    ['an absolute entry', { ...GOOD, entry: '/bin/sh' }, /entry/],
    ['an entry that is not there', { ...GOOD, entry: 'absent.sh' }, /absent\.sh/],
    ['an unknown runtime', { ...GOOD, runtime: 'bsh' }, /runtime: .*"bash"/],
    ['a schema that is none', { ...GOOD, inputs: { type: 'objekt' } }, /inputs|objekt/],
  ])('%s', async (what, manifest, expected) => {
    const name = `wrong-${what.replaceAll(' ', '-')}`
    const path = await writeAgentPackage(swarm.directory, { name, ...manifest }, { 'main.sh': 'true\n' })
    const code = what === 'an entry that is not there' ? 'package_invalid' : 'manifest_invalid'
    const problem = await expectProblem(client.agents.register({ path }), 422, code)
    expect(problem.detail).toMatch(expected)
    if (code === 'manifest_invalid') expect(problem.detail).toMatch(/agent\.yaml:\d+:\d+: /)
    await expectProblem(client.agents.get(name), 404, 'not_found')
  })

  test('a package that is not there', async () => {
    await expectProblem(
      client.agents.register({ path: `${swarm.directory}/no-such-package` }),
      422,
      'package_invalid',
    )
  })
})
