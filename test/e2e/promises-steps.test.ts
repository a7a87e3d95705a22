import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { SwarmClient } from '../../src/client/client.ts'
import { expectProblem } from '../support/expect-problem.ts'
import { createTestRepository, type TestRepository } from '../support/test-repository.ts'
import { startTestSwarm, type TestSwarm } from '../support/test-swarm.ts'
import { endTicket, getLastRun, getStep, ONCE, registerSteps, waitForEnd } from '../support/ticket-scene.ts'
import { waitForTicket } from '../support/wait-for.ts'

let swarm: TestSwarm
let client: SwarmClient
let repository: TestRepository
let server: Server
let url: string
let asked: { method: string; key: string; body: string }[] = []
let answers: ((request: IncomingMessage, response: ServerResponse) => void)[] = []

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    asked.push({ method: request.method ?? '', key: String(request.headers['idempotency-key']), body })
    const answer = answers.shift() ?? ((_, quiet) => quiet.end('fine'))
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  url = `http://127.0.0.1:${port}`
  swarm = await startTestSwarm({
    config: `slots: 2
poll: { interval: 200ms }
retry: { runs: 1 }
egress: { allow-private: ['127.0.0.1:${port}'] }
`,
  })
  client = swarm.client
  repository = await createTestRepository(swarm.directory, { 'shared.txt': 'one\ntwo\nthree\n' })
  await client.projects.create({
    key: 'ST',
    name: 'Steps',
    repositoryUrl: repository.path,
    forge: 'local',
  })
})
beforeEach(() => {
  asked = []
  answers = []
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await swarm[Symbol.asyncDispose]()
})

async function run(
  name: string,
  steps: Parameters<typeof registerSteps>[2],
  more: Parameters<typeof registerSteps>[3] = {},
) {
  await registerSteps(client, name, steps, more)
  return await endTicket(client, { project: 'ST', title: name, workflow: name })
}

async function begin(name: string, steps: Parameters<typeof registerSteps>[2]): Promise<string> {
  await registerSteps(client, name, steps)
  return (await client.tickets.create({ project: 'ST', title: name, workflow: name })).key
}

const say = (id: string, message: string, needs: string[] = []) => ({
  id,
  kind: 'agent',
  agent: 'echo',
  with: { message },
  ...(needs.length === 0 ? {} : { needs }),
})

describe('wait', () => {
  test('for a time: it holds no slot, and goes on when the time has come', async () => {
    const key = await begin('wait-time', [
      { id: 'sit', kind: 'wait', for: '2s' },
      say('after', 'done', ['sit']),
    ])
    await waitForTicket(client, key, 'waiting', 10_000)
    expect((await client.health.get()).figures.heldRunCount).toBe(0)
    const { ticket, run: ended } = await waitForEnd(client, key)
    expect(ticket.status).toBe('done')
    const after = getStep(ended, 'after')
    expect(Date.parse(after.startedAt ?? '') - Date.parse(ended.startedAt ?? '')).toBeGreaterThanOrEqual(
      2_000,
    )
  })

  test('for a signal: what it carries is the step’s outputs', async () => {
    const key = await begin('wait-signal', [
      { id: 'deployed', kind: 'wait', signal: 'deployed', outputs: { url: 'string' } },
      say('after', `\${steps.deployed.outputs.url}`, ['deployed']),
    ])
    const ticket = await waitForTicket(client, key, 'waiting', 10_000)
    expect(ticket.reason).toBe('waiting_for_signal')
    const runId = ticket.currentRunId ?? ''
    await client.runs.sendSignal(runId, { name: 'something-else', payload: {} })
    await client.runs.sendSignal(runId, { name: 'deployed', payload: { url: 'https://x.example' } })
    const { run: ended } = await waitForEnd(client, key)
    expect(getStep(ended, 'after').outputs).toMatchObject({ message: 'https://x.example' })
  })

  test('for a signal that came early: it was kept', async () => {
    const key = await begin('wait-early', [
      { id: 'sit', kind: 'approve', prompt: 'First me' },
      { id: 'signal', kind: 'wait', signal: 'early', needs: ['sit'] },
    ])
    const ticket = await waitForTicket(client, key, 'waiting', 10_000)
    const runId = ticket.currentRunId ?? ''
    await client.runs.sendSignal(runId, { name: 'early', payload: { at: 'once' } })
    await client.runs.approve(runId)
    const { run: ended } = await waitForEnd(client, key)
    expect(getStep(ended, 'signal')).toMatchObject({ status: 'succeeded', outputs: { at: 'once' } })
  })

  test('for a signal that never comes: it expires', async () => {
    const { ticket, run: ended } = await run('wait-never', [
      { id: 'sit', kind: 'wait', signal: 'never', timeout: '1s' },
    ])
    expect(ticket).toMatchObject({ status: 'failed', reason: 'wait_expired' })
    expect(getStep(ended, 'sit').reason).toBe('wait_expired')
  })
})

describe('approve', () => {
  test('rejected, and past its deadline: the step fails with its reason', async () => {
    const key = await begin('approve-no', [{ id: 'ask', kind: 'approve', prompt: 'May I?' }])
    const { currentRunId } = await waitForTicket(client, key, 'waiting', 10_000)
    await client.runs.reject(currentRunId ?? '', { comment: 'not today' })
    const { ticket } = await waitForEnd(client, key)
    expect(ticket).toMatchObject({ status: 'failed', reason: 'rejected' })
    expect(ticket.detail).toContain('not today')

    const late = await run('approve-late', [{ id: 'ask', kind: 'approve', prompt: 'May I?', deadline: '1s' }])
    expect(late.ticket).toMatchObject({ status: 'failed', reason: 'wait_expired' })
  })

  test('an answer that comes twice is told so, and counts once', async () => {
    const key = await begin('approve-twice', [
      { id: 'ask', kind: 'approve', prompt: 'May I?' },
      say('after', `\${steps.ask.outputs.comment}`, ['ask']),
    ])
    const { currentRunId } = await waitForTicket(client, key, 'waiting', 10_000)
    const answers = await Promise.allSettled(
      ['first', 'second'].map((comment) => client.runs.approve(currentRunId ?? '', { comment })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect((await waitForEnd(client, key)).ticket.status).toBe('done')
  })
})

describe('http', () => {
  const request = (more: object) => ({ id: 'ask', kind: 'http', url: `${url}/hook`, ...more })

  test('sends once, under an idempotency key, and gives back the answer', async () => {
    answers = [(_, response) => response.setHeader('content-type', 'application/json').end('{"ok":[1]}')]
    const { run: ended } = await run('http-ok', [
      request({ method: 'POST', body: { key: `\${ticket.key}` }, headers: { 'X-Sent': 'yes' } }),
    ])
    expect(getStep(ended, 'ask').outputs).toMatchObject({ status: 200, body: { ok: [1] } })
    expect(asked).toMatchObject([{ method: 'POST', body: `{"key":"${ended.ticketKey}"}` }])
    expect(asked[0]?.key).toContain(ended.id)
  })

  test('trouble on the other side is tried again, under the same key', async () => {
    answers = [(_, response) => response.writeHead(503).end(), (broken) => broken.socket.destroy()]
    const { ticket, run: ended } = await run('http-trouble', [request({})])
    expect(ticket.status).toBe('done')
    expect(getStep(ended, 'ask').outputs).toMatchObject({ status: 200, body: 'fine' })
    expect(asked).toHaveLength(3)
    expect(new Set(asked.map(({ key }) => key)).size).toBe(1)
  })

  test('one that takes longer than its step may fails, and is not sent again', async () => {
    answers = [() => {}]
    const { ticket } = await run('http-slow', [request({ timeout: '1s' })])
    expect(ticket).toMatchObject({ status: 'failed', reason: 'timed_out' })
    await expect.poll(async () => (await client.health.get()).figures.pendingEffectCount).toBe(0)
    expect(asked).toHaveLength(1)
  })

  test('an answer that says no is an answer', async () => {
    answers = [(_, response) => response.writeHead(404).end('none')]
    const { run: ended } = await run('http-404', [request({})])
    expect(getStep(ended, 'ask').outputs).toMatchObject({ status: 404, body: 'none' })
  })

  test.each([
    ['a host that is not allowed', 'http://127.0.0.1:9/'],
    ['the metadata service', 'http://169.254.169.254/latest/meta-data/'],
    ['another protocol', 'file:///etc/passwd'],
  ])('%s is refused, and nothing is sent', async (what, refused) => {
    const name = `http-${what.replaceAll(' ', '-')}`
    const { ticket } = await run(name, [request({ url: `\${inputs.url}` })], {
      inputs: { url: { type: 'string', default: refused } },
    })
    expect(ticket).toMatchObject({ status: 'failed', reason: 'input_invalid' })
    expect(asked).toEqual([])
  })
})

describe('workflow', () => {
  test('a child run gets its inputs and gives back its outputs and its work', async () => {
    await registerSteps(
      client,
      'child',
      [
        {
          id: 'write',
          kind: 'run',
          command: ['sh', '-c', 'echo "$1" > child.txt', 'sh', `\${inputs.text}`],
        },
      ],
      { inputs: { text: 'string' }, outputs: { wrote: `\${inputs.text}` } },
    )
    const { ticket, run: ended } = await run('parent', [
      { id: 'below', kind: 'workflow', workflow: 'child', with: { text: 'from above' } },
      { id: 'look', kind: 'run', needs: ['below'], command: ['cat', 'child.txt'] },
      say('said', `\${steps.below.outputs.wrote}`, ['below']),
    ])
    expect(ticket.status).toBe('done')
    expect(getStep(ended, 'look').outputs).toEqual({ exitCode: 0, stdout: 'from above\n' })
    expect(getStep(ended, 'said').outputs).toMatchObject({ message: 'from above' })
    const { items } = await client.runs.list({ ticket: ticket.key })
    expect(items.map(({ status }) => status)).toEqual(['succeeded', 'succeeded'])
  })

  test('a child that fails fails its step with its reason', async () => {
    await registerSteps(client, 'child-fails', [{ id: 'work', kind: 'run', command: ['false'], retry: ONCE }])
    const { ticket, run: ended } = await run('parent-fails', [
      { id: 'below', kind: 'workflow', workflow: 'child-fails' },
    ])
    expect(ticket.status).toBe('failed')
    expect(getStep(ended, 'below')).toMatchObject({ status: 'failed', reason: 'command_failed' })
  })

  test('one that is not there, or is given what it does not take, is refused before anything runs', async () => {
    const below = { id: 'below', kind: 'workflow' }
    await expectProblem(
      registerSteps(client, 'parent-absent', [{ ...below, workflow: 'no-such-child' }]),
      422,
      'workflow_invalid',
    )
    const wrong = await expectProblem(
      registerSteps(client, 'parent-wrong', [{ ...below, workflow: 'child', with: { txet: 'x' } }]),
      422,
      'workflow_invalid',
    )
    expect(wrong.detail).toMatch(/txet.*text/s)
  })

  test('two that run each other, by a later version, come to an end', async () => {
    await registerSteps(client, 'pong', [say('say', 'pong')])
    await registerSteps(client, 'ping', [{ id: 'below', kind: 'workflow', workflow: 'pong' }])
    const { ticket } = await run('pong', [{ id: 'below', kind: 'workflow', workflow: 'ping' }], {
      version: 2,
    })
    expect(ticket).toMatchObject({ status: 'failed', reason: 'workflow_invalid' })
    expect((await client.runs.list({ ticket: ticket.key })).items).toHaveLength(2)
  })

  test('one that takes longer than its step may is ended with it', async () => {
    await registerSteps(client, 'child-slow', [{ id: 'sit', kind: 'wait', for: '1h' }])
    const { ticket, run: ended } = await run('parent-slow', [
      { id: 'below', kind: 'workflow', workflow: 'child-slow', timeout: '1s' },
    ])
    expect(ticket).toMatchObject({ status: 'failed', reason: 'timed_out' })
    expect(getStep(ended, 'below').reason).toBe('timed_out')
    const { items } = await client.runs.list({ ticket: ticket.key })
    expect(items.map(({ status }) => status).sort()).toEqual(['canceled', 'failed'])
  })
})

describe('for-each', () => {
  test('one instance for each element, their outputs in the order of the list', async () => {
    const { ticket, run: ended } = await run('each', [
      {
        id: 'each',
        kind: 'run',
        'for-each': ['a', 'b', 'c', 'd'],
        'max-parallel': 2,
        if: "item != 'c'",
        command: ['printf', '%s-%s', `\${index}`, `\${item}`],
      },
      say('gather', `\${steps.each.outputs[3].stdout} \${steps.each.outputs[2]}`, ['each']),
    ])
    expect(ticket.status).toBe('done')
    const outputs = ended.steps
      .filter(({ stepId }) => stepId === 'each')
      .map(({ key, status, outputs: own }) => [key, status, own?.stdout])
    expect(outputs).toEqual([
      ['each[0]', 'succeeded', '0-a'],
      ['each[1]', 'succeeded', '1-b'],
      ['each[2]', 'skipped', undefined],
      ['each[3]', 'succeeded', '3-d'],
    ])
    expect(getStep(ended, 'gather').outputs).toMatchObject({ message: '3-d ' })
  })

  test('an instance that fails fails the step; the others ran', async () => {
    const { ticket, run: ended } = await run('each-fails', [
      {
        id: 'each',
        kind: 'run',
        'for-each': ['true', 'false', 'true'],
        'on-failure': 'skip-dependents',
        command: [`\${item}`],
        retry: ONCE,
      },
    ])
    expect(ticket).toMatchObject({ status: 'failed', reason: 'command_failed' })
    expect(ended.steps.map(({ status }) => status)).toEqual(['succeeded', 'failed', 'succeeded'])
  })
})

describe('steps side by side', () => {
  const write = (id: string, script: string) => ({ id, kind: 'run', command: ['sh', '-c', script] })

  test('that change different files are merged', async () => {
    const { ticket, run: ended } = await run(
      'merge',
      [
        write('left', 'echo left > left.txt'),
        write('right', 'echo right > right.txt; rm -f nothing'),
        write('same', 'sed -i s/one/ONE/ shared.txt'),
        {
          id: 'verify',
          kind: 'verify',
          needs: ['left', 'right', 'same'],
          commands: [['sh', '-c', 'cat left.txt right.txt && grep ONE shared.txt']],
        },
        { id: 'propose', kind: 'pull-request', needs: ['verify'] },
      ],
      { 'done-when': 'opened' },
    )
    expect(ticket.status).toBe('done')
    const [pullRequest] = (await client.pullRequests.list({ ticket: ticket.key })).items
    expect([...(pullRequest?.changedFiles ?? [])].sort()).toEqual(['left.txt', 'right.txt', 'shared.txt'])
    expect(await repository.git('show', `${pullRequest?.branch}:left.txt`)).toBe('left')
    expect(getStep(ended, 'verify').attempts[0]?.baseCommit).toBe(pullRequest?.headCommit)
  })

  test('that change the same lines fail with merge_conflict, and name the file', async () => {
    const { ticket, run: ended } = await run('conflict', [
      write('left', 'echo left > shared.txt'),
      write('right', 'echo right > shared.txt'),
      { id: 'after', kind: 'run', command: ['true'], needs: ['left', 'right'] },
    ])
    expect(ticket).toMatchObject({ status: 'failed', reason: 'merge_conflict' })
    expect(getStep(ended, 'after')).toMatchObject({
      status: 'failed',
      reason: 'merge_conflict',
      attempts: [],
    })
    expect(ticket.detail).toContain('shared.txt')
  })

  test('never more at once than the host has slots', async () => {
    const key = await begin('wide', [
      { id: 'each', kind: 'run', 'for-each': [1, 2, 3, 4, 5, 6], command: ['sleep', '0.3'] },
    ])
    let most = 0
    for (;;) {
      const current = await client.tickets.get(key)
      if (current.status === 'done') break
      if (current.currentRunId !== null) {
        const { sandboxes } = await client.runs.get(current.currentRunId)
        most = Math.max(most, sandboxes.filter(({ endedAt }) => endedAt === null).length)
      }
      expect(current.status).not.toBe('failed')
    }
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(2)
    expect((await getLastRun(client, key)).steps).toHaveLength(6)
  })
})
