import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, request as httpRequest, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { SwarmClient } from '../../src/client/client.ts'
import { type GitHttpServer, startGitHttpServer } from '../support/git-http-server.ts'
import { commitTo, makeRemote } from '../support/git-repository.ts'
import { startTestSwarm, type TestSwarm } from '../support/test-swarm.ts'
import { createLogCapture, endTicket, ONCE, type Run, registerSteps } from '../support/ticket-scene.ts'

const LEASE_TTL_MS = 2_000
const DEADMAN_MS = 1_500
/** Longer than both, by far. */
const SLOW_MS = 3_500
const BIG_FILE_BYTES = 64 * 2 ** 20

let swarm: TestSwarm
let client: SwarmClient
let origin: GitHttpServer
let slow: Server
const log = createLogCapture()

beforeAll(async () => {
  swarm = await startTestSwarm({
    logger: log.logger,
    config: `slots: 2
lease: { ttl: ${LEASE_TTL_MS}ms, deadman: ${DEADMAN_MS}ms }
poll: { interval: 200ms }
`,
  })
  client = swarm.client
  const root = join(swarm.directory, 'remotes')
  await makeRemote(join(root, 'slow.git'))
  await makeRemote(join(root, 'setup.git'), {
    'readme.txt': 'hello\n',
    '.swarm/project.yaml': `setup: [[sleep, '${SLOW_MS / 1000}']]\n`,
  })
  const big = await makeRemote(join(root, 'big.git'))
  await commitTo(big.path, 'main', {}, (clone) =>
    writeFile(join(clone, 'big.bin'), randomBytes(BIG_FILE_BYTES)),
  )
  origin = await startGitHttpServer({ root })
  slow = await startSlowProxy(new URL(origin.url))
  const { port } = slow.address() as AddressInfo
  for (const [key, repositoryUrl] of [
    ['SLOW', `http://127.0.0.1:${port}/slow.git`],
    ['SETUP', `${origin.url}/setup.git`],
    ['BIG', join(root, 'big.git')],
  ] as const) {
    const forge = key === 'BIG' ? 'local' : 'git'
    await client.projects.create({ key, name: key, repositoryUrl, forge })
  }
  await registerSteps(client, 'look', [{ id: 'work', kind: 'run', command: ['ls'], retry: ONCE }])
})
afterAll(async () => {
  slow.closeAllConnections()
  slow.close()
  await origin[Symbol.asyncDispose]()
  await swarm[Symbol.asyncDispose]()
})

/** One run, one attempt, one sandbox, the first epoch: nobody thought it dead. */
function expectHeldThroughout(run: Run): void {
  expect(run).toMatchObject({ status: 'succeeded', number: 1, lease: { epoch: 1 } })
  expect(run.steps.map((step) => step.attempts.map(({ number, status }) => ({ number, status })))).toEqual([
    [{ number: 1, status: 'succeeded' }],
  ])
  expect(run.sandboxes.map(({ status }) => status)).toEqual(['gone'])
  const tookMs = Date.parse(run.finishedAt ?? '') - Date.parse(run.startedAt ?? '')
  expect(tookMs, 'slow enough to prove anything').toBeGreaterThan(LEASE_TTL_MS)
  expect(log.text()).not.toMatch(/leases expired|lease lost|given up/)
}

test('P9: leases are renewed during start-up: a clone that takes longer than the lease', async () => {
  const { run } = await endTicket(client, { project: 'SLOW', title: 'clone', workflow: 'look' })
  expectHeldThroughout(run)
})

test('P9: leases are renewed during start-up: setup commands that take longer than the lease', async () => {
  const { run } = await endTicket(client, { project: 'SETUP', title: 'setup', workflow: 'look' })
  expectHeldThroughout(run)
})

test('P9: leases and sandboxes are kept during a launch that takes longer than the dead-man deadline', async () => {
  const { run } = await endTicket(client, { project: 'BIG', title: 'big', workflow: 'look' }, 60_000)
  expectHeldThroughout(run)
  const { items } = await client.events.list({ run: run.id })
  const at = (type: string) => Date.parse(items.find((event) => event.type === type)?.at ?? '')
  const launchMs = at('attempt.phase_changed') - at('sandbox.ready')
  expect(launchMs, 'slow enough to prove anything').toBeGreaterThan(DEADMAN_MS)
})

/** Passes everything on to the git server, after a while. */
async function startSlowProxy(target: URL): Promise<Server> {
  const server = createServer(async (incoming, response) => {
    await delay(SLOW_MS / 2)
    const { method, url, headers } = incoming
    const outgoing = httpRequest({ host: target.hostname, port: target.port, method, path: url, headers })
    incoming.pipe(outgoing)
    outgoing.on('error', () => response.destroy())
    outgoing.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
