import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient, type SwarmClient } from '../../src/client/client.ts'
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts'
import { expectProblem } from '../support/expect-problem.ts'
import { makeTestDirectory, writeTestConfig } from '../support/test-swarm.ts'
import { endTicket, getStep, ONCE, registerSteps, waitForEnd } from '../support/ticket-scene.ts'
import { waitFor, waitForEvent } from '../support/wait-for.ts'

let directory: string
let daemon: DaemonProcess
let owner: SwarmClient
let url: string

beforeAll(async () => {
  directory = await makeTestDirectory()
  const path = await writeTestConfig(directory, '')
  await writeFile(
    path,
    `state-dir: ${directory}/state\nlisten: { port: 0 }\npoll: { interval: 200ms }\nlog: { level: info }\n`,
  )
  daemon = await startDaemonProcess(directory)
  owner = daemon.client
  url = await waitFor('the TCP address', async () => /"url":"(http:[^"]+)"/.exec(daemon.log())?.[1], 10_000)
  await owner.projects.create({ key: 'ACC', name: 'Access' })
})
afterAll(async () => {
  await daemon.kill()
  await rm(directory, { recursive: true, force: true })
})

const connect = (token?: string) => createClient({ baseUrl: url, token, fetch })
const file = (client: SwarmClient) => client.tickets.create({ project: 'ACC', title: 'x', isDraft: true })

describe('a token', () => {
  test('that is missing, wrong, cut short or revoked opens nothing', async () => {
    const { secret, id } = await owner.tokens.create({ name: 'all', scopes: ['admin'] })
    expect((await file(connect(secret))).key).toMatch(/^ACC-/)
    await expectProblem(file(connect()), 401, 'token_missing')
    await expectProblem(file(connect(`swm_${'A'.repeat(43)}`)), 401, 'token_invalid')
    await expectProblem(file(connect(secret.slice(0, -1))), 401, 'token_invalid')
    await expectProblem(file(connect(`${secret}A`)), 401, 'token_invalid')
    await owner.tokens.revoke(id)
    await expectProblem(file(connect(secret)), 401, 'token_revoked')
  })

  test('that is expired opens nothing', async () => {
    const expiresAt = new Date(Date.now() + 1_500).toISOString()
    const { secret } = await owner.tokens.create({ name: 'brief', scopes: ['tickets'], expiresAt })
    await file(connect(secret))
    await waitFor(
      'its end',
      async () =>
        await file(connect(secret)).then(
          () => undefined,
          (error: { code: string }) => (error.code === 'token_expired' ? true : undefined),
        ),
      10_000,
    )
  })

  test('that lacks the scope is refused, and the refusal names the scope', async () => {
    const { secret } = await owner.tokens.create({ name: 'reader', scopes: ['read'] })
    const reader = connect(secret)
    await reader.tickets.list()
    const problem = await expectProblem(file(reader), 403, 'missing_scope')
    expect(`${problem.detail} ${problem.hint}`).toContain('tickets')
    await expectProblem(reader.tokens.create({ name: 'more', scopes: ['admin'] }), 403, 'missing_scope')
    await expectProblem(reader.workflows.register({ text: '' }), 403, 'missing_scope')
  })

  test('of a run opens its own run only, and nothing once the run has ended', async () => {
    const program = 'console.log(process.env.SWARM_RUN_TOKEN); setTimeout(() => {}, 60000)'
    await registerSteps(owner, 'leak', [{ id: 'work', kind: 'run', command: ['node', '-e', program] }])
    const { key } = await owner.tickets.create({ project: 'ACC', title: 'leak', workflow: 'leak' })
    await waitForEvent(
      owner,
      key,
      ({ type, data }) => type === 'attempt.phase_changed' && data.phase === 'awaiting',
    )
    const runId = (await owner.tickets.get(key)).currentRunId ?? ''
    const secret = await waitFor(
      'the token in the log',
      async () => {
        const text = await new Response(
          await owner.runs.readLog({ runId, stepKey: 'work', attempt: 1 }),
        ).text()
        return /swm_[\w-]+/.exec(text)?.[0]
      },
      10_000,
    )
    const inside = connect(secret)
    expect((await inside.runs.get(runId)).id).toBe(runId)
    await expectProblem(inside.tickets.list(), 403, 'missing_scope')
    await expectProblem(inside.runs.cancel(runId), 403, 'missing_scope')
    await owner.tickets.cancel(key)
    await waitForEnd(owner, key)
    await expectProblem(inside.runs.get(runId), 401, 'token_revoked')
  })
})

describe('a repository address', () => {
  test.each([
    ['a remote helper', (canary: string) => `ext::sh -c "touch ${canary}"`],
    ['another remote helper', (canary: string) => `fd::17/${canary}`],
    ['an option', (canary: string) => `--upload-pack=touch ${canary}`],
    ['an option behind a host', (canary: string) => `ssh://-oProxyCommand=touch${canary}/x`],
    ['an option as host of the short form', (canary: string) => `-oProxyCommand=touch ${canary}:x`],
    ['a command in the path', (canary: string) => `ssh://host.invalid/$(touch ${canary})\n.git`],
    ['a login in it', () => 'https://user:planted-password@host.invalid/x.git'],
    ['plain http to another host', () => 'http://host.invalid/x.git'],
    ['a relative path', () => '../../x.git'],
    ['another protocol', () => 'git://host.invalid/x.git'],
  ])('with %s never runs anything: it is refused', async (_, toAddress) => {
    const canary = join(directory, 'url-canary')
    const key = `U${Math.floor(Math.random() * 1e7)}`
    const input = { key, name: 'URL', repositoryUrl: toAddress(canary), forge: 'git' }
    const refused = await owner.projects.create(input).then(
      () => undefined,
      (error: { status: number; message: string }) => error,
    )
    if (refused === undefined) {
      const { ticket } = await endTicket(owner, { project: key, title: 'x', workflow: 'linear' })
      expect(ticket).toMatchObject({ status: 'failed', reason: 'repository_refused' })
      expect(ticket.detail).not.toContain('planted-password')
    } else {
      expect(refused.status).toBe(422)
      expect(refused.message).not.toContain('planted-password')
    }
    await expect(stat(canary)).rejects.toThrow('ENOENT')
    expect(daemon.log()).not.toContain('planted-password')
  })
})

describe('U14: paths that escape are inert:', () => {
  test('in the address of a log, an artifact or a file that a caller asks for', async () => {
    await registerSteps(owner, 'say', [{ id: 'say', kind: 'run', command: ['echo', 'hello'], retry: ONCE }])
    const { run } = await endTicket(owner, { project: 'ACC', title: 'x', workflow: 'say' })
    const base = `/v1/runs/${run.id}`
    for (const path of [
      `${base}/logs/../../../../state/swarm.db/1`,
      `${base}/logs/..%2f..%2f..%2fstate%2fswarm.db/1`,
      `${base}/logs/say/1%2f..%2f..`,
      `${base}/logs/%2e%2e/1`,
      `${base}/artifacts/..%2f..%2fswarm.db`,
      `/v1/agents/..%2f..%2fetc`,
      '/../../../etc/passwd',
      '//etc/passwd',
    ]) {
      const { status, body } = await get(path)
      expect([400, 404, 422], `${path}: ${status} ${body}`).toContain(status)
      expect(body).not.toMatch(/SQLite|root:/)
    }
  })

  test('in what an agent leaves in its workspace', async () => {
    const program = `
const fs = require('node:fs')
fs.symlinkSync('/etc/passwd', 'passwd'); fs.symlinkSync('../../../../..', 'up'); fs.symlinkSync('${directory}', 'state')
fs.writeFileSync('a\\nb', 'x'); fs.mkdirSync('...'); fs.writeFileSync('.../--help', 'x')
`
    const { createTestRepository } = await import('../support/test-repository.ts')
    const repository = await createTestRepository(directory, { 'README.md': 'x' })
    await owner.projects.create({
      key: 'ESC',
      name: 'Escapes',
      repositoryUrl: repository.path,
      forge: 'local',
    })
    await registerSteps(
      owner,
      'escape',
      [
        { id: 'work', kind: 'run', command: ['node', '-e', program] },
        {
          id: 'look',
          kind: 'verify',
          needs: ['work'],
          commands: [['sh', '-c', 'test ! -e state/state/swarm.db']],
        },
        { id: 'propose', kind: 'pull-request', needs: ['look'] },
      ],
      { 'done-when': 'opened' },
    )
    const { ticket, run } = await endTicket(owner, { project: 'ESC', title: 'escape', workflow: 'escape' })
    expect(ticket.status).toBe('done')
    expect(getStep(run, 'look').status).toBe('succeeded')
    const [pullRequest] = (await owner.pullRequests.list({ ticket: ticket.key })).items
    // Links are carried as links, and the reviewer is told where they lead.
    expect(await repository.git('ls-tree', pullRequest?.branch ?? '', 'passwd')).toMatch(/^120000 blob/)
    expect(pullRequest?.body).toMatch(/passwd/)
    const diff = await owner.pullRequests.diff(pullRequest?.id ?? '')
    expect(diff).not.toContain('root:x:0')
    expect((await readFile('/etc/passwd', 'utf8')).startsWith('root:')).toBe(true)
  })
})

/** The path as it is: no client tidies it up. */
function get(path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const socketPath = join(directory, 'state', 'api.sock')
    const request = httpRequest({ socketPath, path, headers: { host: 'localhost' } }, async (response) => {
      let body = ''
      for await (const chunk of response) body += chunk
      resolve({ status: response.statusCode ?? 0, body })
    })
    request.on('error', reject)
    request.end()
  })
}
