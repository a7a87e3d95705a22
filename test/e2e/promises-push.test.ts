import { chmod, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { SwarmClient } from '../../src/client/client.ts'
import { type GitHttpServer, startGitHttpServer } from '../support/git-http-server.ts'
import { git, makeRemote } from '../support/git-repository.ts'
import { startTestSwarm, type TestSwarm } from '../support/test-swarm.ts'
import { getStep, type Run, registerSteps, waitForEnd } from '../support/ticket-scene.ts'
import { waitForEvent } from '../support/wait-for.ts'

/** All tries of an effect together, with their backoff of 1 + 2 + 4 + 8 + 16 s. */
const ALL_TRIES_MS = 60_000

let swarm: TestSwarm
let client: SwarmClient
let origin: GitHttpServer
let root: string
/** Begun first, because its tries take half a minute; the other tests run beside it. */
let givenUp: string

beforeAll(async () => {
  swarm = await startTestSwarm({ config: 'slots: 2\npoll: { interval: 200ms }\nretry: { runs: 1 }\n' })
  client = swarm.client
  root = join(swarm.directory, 'remotes')
  for (const name of ['web', 'guarded', 'broken']) await makeRemote(join(root, `${name}.git`))
  origin = await startGitHttpServer({ root })
  for (const [key, name] of [
    ['WEB', 'web'],
    ['GUARD', 'guarded'],
    ['BROKEN', 'broken'],
  ] as const) {
    await client.projects.create({ key, name, repositoryUrl: `${origin.url}/${name}.git`, forge: 'git' })
  }
  await registerSteps(
    client,
    'change',
    [
      { id: 'work', kind: 'run', command: ['sh', '-c', 'echo new > new.txt'] },
      { id: 'propose', kind: 'pull-request', needs: ['work'] },
    ],
    { 'done-when': 'opened' },
  )
  await plantHook('broken', 'kill -9 $PPID; exit 1')
  givenUp = await file('BROKEN')
})
afterAll(async () => {
  await origin[Symbol.asyncDispose]()
  await swarm[Symbol.asyncDispose]()
})
beforeEach(async () => {
  await rm(join(root, 'web.git', 'hooks', 'pre-receive'), { force: true })
})

async function plantHook(name: string, script: string): Promise<void> {
  const path = join(root, `${name}.git`, 'hooks', 'pre-receive')
  await writeFile(path, `#!/bin/sh\n${script}\n`)
  await chmod(path, 0o755)
}

async function file(project: string): Promise<string> {
  return (await client.tickets.create({ project, title: 'change', workflow: 'change' })).key
}

/** The commit that the step made, as the mirror of the project keeps it. */
async function expectWorkInMirror(run: Run): Promise<void> {
  const commit = getStep(run, 'work').attempts[0]?.resultCommit
  const { id } =
    (await client.projects.list()).items.find(({ key }) => run.ticketKey.startsWith(`${key}-`)) ?? {}
  const mirror = join(swarm.directory, 'state', 'mirrors', `${id}.git`)
  const refs = await git(mirror, 'for-each-ref', '--format=%(objectname)', `refs/swarm/${run.id}`)
  expect(refs.split('\n')).toContain(commit)
  expect(await git(mirror, 'show', `${commit}:new.txt`)).toBe('new')
}

test('P11: a push that fails on the way is retried, and the work is sent as it is', async () => {
  // Out of room for the first two tries.
  const counter = join(swarm.directory, 'tries')
  await plantHook(
    'web',
    `echo x >> ${counter}; [ $(wc -l < ${counter}) -gt 2 ] || { kill -9 $PPID; exit 1; }`,
  )
  const key = await file('WEB')
  await waitForEvent(client, key, ({ type }) => type === 'effect.retried')
  const { ticket, run } = await waitForEnd(client, key, 30_000)
  expect(ticket).toMatchObject({ status: 'done', branch: expect.stringMatching(/^swarm\/web-/) })
  expect(await git(join(root, 'web.git'), 'rev-parse', ticket.branch ?? '')).toBe(
    getStep(run, 'work').attempts[0]?.resultCommit,
  )
  expect(getStep(run, 'work').attempts).toHaveLength(1)
})

test('P11: a push that the server refuses is a failure with its reason; work stays in the mirror', async () => {
  await plantHook('guarded', 'echo "swarm/* is a protected branch" >&2; exit 1')
  const { ticket, run } = await waitForEnd(client, await file('GUARD'), 30_000)
  expect(ticket).toMatchObject({ status: 'failed', reason: 'branch_protected', branch: null })
  expect(getStep(run, 'propose')).toMatchObject({ status: 'failed', reason: 'branch_protected' })
  expect(ticket.reason).not.toBe('no_change')
  await expectWorkInMirror(run)

  // A person makes room and asks again: it goes through, and health has nothing more to say.
  await rm(join(root, 'guarded.git', 'hooks', 'pre-receive'))
  await client.tickets.retry(ticket.key)
  expect((await waitForEnd(client, ticket.key, 30_000)).ticket.status).toBe('done')
  expect((await client.health.get()).figures.deadEffectCount).toBe(0)
})

test(
  'P11: a push that never goes through is given up after its tries; work stays in the mirror, health says so',
  async () => {
    const { ticket, run } = await waitForEnd(client, givenUp, ALL_TRIES_MS)
    expect(ticket.status).toBe('failed')
    expect(['push_failed', 'forge_failed', 'network_failed']).toContain(ticket.reason)
    await expectWorkInMirror(run)
    const retried = (await client.events.list({ ticket: givenUp, type: ['effect.retried'] })).items
    expect(retried.length).toBeGreaterThanOrEqual(3)
    const { status, checks, figures } = await client.health.get()
    expect(figures.deadEffectCount).toBe(1)
    expect(status).toBe('degraded')
    expect(
      checks
        .filter(({ ok }) => !ok)
        .map(({ detail }) => detail)
        .join(),
    ).toMatch(/given up|could not be sent/)
  },
  ALL_TRIES_MS + 10_000,
)
