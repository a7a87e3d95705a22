import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createTestRepository } from '../support/test-repository.ts'
import { startTestSwarm } from '../support/test-swarm.ts'
import { endTicket, getStep, ONCE, registerSteps } from '../support/ticket-scene.ts'

let packages: Server
let asked: number
beforeEach(async () => {
  asked = 0
  packages = createServer((_request, response) => {
    asked += 1
    response.end('a package')
  })
  await new Promise<void>((resolve) => packages.listen(0, '127.0.0.1', resolve))
})
afterEach(() => void packages.close())

/** Fetches through the proxy of the sandbox, as package managers do; the exit code tells. */
const FETCH = `
  const { hostname, port, username, password } = new URL(process.env.HTTP_PROXY)
  const login = Buffer.from(username + ':' + password).toString('base64')
  const headers = { 'proxy-authorization': 'Basic ' + login }
  require('node:http')
    .get({ hostname, port, path: process.argv[1], headers }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 3))
    .on('error', () => process.exit(4))`

/** A ticket of a repository whose setup fetches a package; the model has no key, so the coder ends at its first turn. */
async function work(egress: string) {
  await using swarm = await startTestSwarm({ config: egress })
  const { port } = packages.address() as AddressInfo
  const setup = [['node', '-e', FETCH, `http://127.0.0.1:${port}/package`]]
  const repository = await createTestRepository(swarm.directory, {
    '.swarm/project.yaml': JSON.stringify({ setup, checks: [['true']] }),
  })
  await swarm.client.projects.create({
    key: 'WEB',
    name: 'Web',
    repositoryUrl: repository.path,
    forge: 'local',
  })
  await registerSteps(swarm.client, 'once', [{ id: 'implement', kind: 'agent', agent: 'coder', retry: ONCE }])
  return await endTicket(swarm.client, { project: 'WEB', title: 'Change it', workflow: 'once' })
}

test('the setup of a repository reaches what the operator allows, in the steps of the coder too', async () => {
  const { port } = packages.address() as AddressInfo
  const end = await work(`egress: { allow-private: ["127.0.0.1:${port}"] }\n`)
  expect(asked).toBe(1)
  // The setup went well, and what is missing is said on the ticket.
  expect(getStep(end.run, 'implement')).toMatchObject({ status: 'failed', reason: 'input_invalid' })
  expect(end.ticket.detail).toContain('ANTHROPIC_API_KEY is not set')
})

test('the setup of a repository reaches nothing that the operator does not allow', async () => {
  const end = await work('')
  expect(asked).toBe(0)
  expect(end.ticket.detail).toContain('setup command setup-0 ended with exit code 3')
})
