import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ApiServer, startApiServer } from '../support/api-server.ts'

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

/** Every block marked `sh`, as one script: what a reader would paste. The first command that fails ends it. */
async function runExamples(guide: string): Promise<string> {
  const text = await readFile(new URL(`../../docs/guides/${guide}`, import.meta.url), 'utf8')
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1])
  expect(blocks.length).toBeGreaterThan(3)
  const { stdout } = await run('bash', ['--norc', '-euo', 'pipefail', '-c', blocks.join('\n')], {
    cwd: server.directory,
    env: { PATH: process.env.PATH, SWARM_SOCKET: server.socketPath, SWARM_URL: server.url },
    timeout: 60_000,
  })
  return stdout
}
