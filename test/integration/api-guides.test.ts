import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { waitForTicket } from '../support/wait-for.ts'

const run = promisify(execFile)

let server: ApiServer
beforeEach(async () => {
  server = await startApiServer()
})
afterEach(async () => await server[Symbol.asyncDispose]())

test('the examples of the API guide work as they stand', async () => {
  const output = await runExamples('api.md')
  expect(output).toContain('"title":"The login fails"')
  expect(output).toContain('"status":"pending"')
  expect(output).toContain('event: opened')
  expect(output).toContain('swarm_oldest_pending_ticket_age_seconds')
  expect(await server.owner.tickets.get('WEB-1')).toMatchObject({ priority: 1, status: 'pending' })
})

test('the claim loop of the guide for outside agents works as it stands', async () => {
  await server.owner.projects.create({ key: 'WEB', name: 'Web' })
  await server.owner.tickets.create({ project: 'WEB', title: 'The login fails', type: 'bug' })
  const output = await runExamples('outside-agents.md')
  expect(output).toContain('working on WEB-1: The login fails')
  expect(await server.owner.tickets.get('WEB-1')).toMatchObject({
    status: 'done',
    outputs: { commit: '0f3a' },
  })
})

test('the claim loop ends quietly when there is nothing to do', async () => {
  expect(await runExamples('outside-agents.md')).toContain('nothing to do')
})

test('the TypeScript of the guide for outside agents works as it stands', async () => {
  await server.owner.projects.create({ key: 'WEB', name: 'Web' })
  const create = (body: string) =>
    server.owner.tickets.create({ project: 'WEB', title: 'The login fails', type: 'bug', body })
  const keys = [(await create('with every name')).key, (await create('')).key]
  const { secret } = await server.owner.tokens.create({ name: 'builder', scopes: ['claim', 'read'] })
  const [code = ''] = await readBlocks('outside-agents.md', 'ts')
  const client = new URL('../../src/client/client.ts', import.meta.url).href
  const path = join(server.directory, 'agent.ts')
  await writeFile(path, code.replace('swarm/client', client))
  const env = { PATH: process.env.PATH, SWARM_URL: server.url, SWARM_TOKEN: secret }
  const running = run(process.execPath, [path], { env, timeout: 60_000 })
  const done = await waitForTicket(server.owner, keys[0] ?? '', 'done')
  const failed = await waitForTicket(server.owner, keys[1] ?? '', 'failed')
  expect(done.outputs).toMatchObject({ tool: expect.stringMatching(/^git version/) })
  expect(failed.detail).toBe('nothing is described')
  running.child.kill('SIGTERM')
  expect((await running).stdout).toContain('"kind":"failed"')
})

async function readBlocks(guide: string, language: string): Promise<readonly string[]> {
  const text = await readFile(new URL(`../../docs/guides/${guide}`, import.meta.url), 'utf8')
  const block = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms')
  return [...text.matchAll(block)].map((match) => match[1] ?? '')
}

/** Every block marked `sh`, as one script: what a reader would paste. The first command that fails ends it. */
async function runExamples(guide: string): Promise<string> {
  const blocks = await readBlocks(guide, 'sh')
  expect(blocks.length).toBeGreaterThan(3)
  const { stdout } = await run('bash', ['--norc', '-euo', 'pipefail', '-c', blocks.join('\n')], {
    cwd: server.directory,
    env: { PATH: process.env.PATH, SWARM_SOCKET: server.socketPath, SWARM_URL: server.url },
    timeout: 60_000,
  })
  return stdout
}
