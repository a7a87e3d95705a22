import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ApiRegistry } from '../../src/api/registry/registry-port.ts'
import { createRegistry } from '../../src/registry/create-registry.ts'
import type { Store } from '../../src/store/contract.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { expectProblem } from '../support/expect-problem.ts'

let server: ApiServer
beforeEach(async () => {
  server = await startApiServer({ createRegistry: toApiRegistry })
})
afterEach(async () => await server[Symbol.asyncDispose]())

const WORKFLOW = `name: hello
version: '1'
steps:
  - id: say
    kind: run
    command: [echo, hello]
`
const CYCLE = `name: loop
version: '1'
steps:
  - { id: a, kind: run, command: [echo], needs: [b] }
  - { id: b, kind: run, command: [echo], needs: [a] }
`

describe('workflows', () => {
  test('a workflow is checked, registered, listed and shown', async () => {
    expect(await server.owner.workflows.validate({ text: WORKFLOW })).toEqual({ isValid: true, problems: [] })
    const workflow = await server.owner.workflows.register({ text: WORKFLOW })
    expect(workflow).toMatchObject({ name: 'hello', version: '1', text: WORKFLOW, source: 'registered' })
    expect((await server.owner.workflows.list()).items).toEqual([workflow])
    expect(await server.owner.workflows.get('hello')).toEqual(workflow)
    expect(await server.owner.workflows.get('hello', { version: '1' })).toEqual(workflow)
    await expectProblem(server.owner.workflows.get('hello', { version: '2' }), 404, 'not_found')
    await expectProblem(server.owner.workflows.get('nope'), 404, 'not_found')
    await expectProblem(server.owner.workflows.get('../x'), 400, 'invalid_request')
  })

  test('what is wrong with a workflow is told with its place, and nothing is registered', async () => {
    for (const text of [CYCLE, 'name: [', 'name: x\nversion: 1\nsteps:\n  - { id: a, kind: nope }\n']) {
      const { isValid, problems } = await server.owner.workflows.validate({ text })
      expect(isValid).toBe(false)
      expect(problems.join('\n')).toMatch(/:\d+:\d+/)
      const problem = await expectProblem(server.owner.workflows.register({ text }), 422, 'workflow_invalid')
      expect(problem.errors.map(({ message }) => message)).toEqual(problems)
    }
    expect((await server.owner.workflows.list()).items).toEqual([])
  })

  test('a version that is taken by another text is refused; the same text may come again', async () => {
    const first = await server.owner.workflows.register({ text: WORKFLOW })
    expect(await server.owner.workflows.register({ text: WORKFLOW })).toEqual(first)
    const other = WORKFLOW.replace('[echo, hello]', '[echo, goodbye]')
    await expectProblem(server.owner.workflows.register({ text: other }), 409, 'version_taken')
  })

  test('a reader may check a workflow, only an admin registers one', async () => {
    const reader = await server.connectAs('read')
    expect((await reader.workflows.validate({ text: WORKFLOW })).isValid).toBe(true)
    await expectProblem(reader.workflows.register({ text: WORKFLOW }), 403, 'missing_scope')
    await expectProblem(reader.agents.register({ path: '/tmp' }), 403, 'missing_scope')
    await expectProblem(reader.agents.validate({ path: '/tmp' }), 403, 'missing_scope')
  })
})

describe('agents', () => {
  test('an agent package is checked, registered, listed and shown without its place on the host', async () => {
    const path = join(server.directory, 'package')
    await cp(join(import.meta.dirname, '../../src/registry/shipped/agents/echo'), path, { recursive: true })
    expect((await server.owner.agents.validate({ path })).isValid).toBe(true)
    const agent = await server.owner.agents.register({ path })
    expect(agent).toMatchObject({ name: 'echo', source: 'registered' })
    expect(agent).not.toHaveProperty('path')
    expect((await server.owner.agents.list()).items).toEqual([agent])
    expect(await server.owner.agents.get('echo')).toEqual(agent)
    await expectProblem(server.owner.agents.get('nope'), 404, 'not_found')
  })

  test('a folder that is no package is refused with every problem', async () => {
    const path = join(server.directory, 'broken')
    await mkdir(path)
    await writeFile(join(path, 'agent.yaml'), 'name: Not A Name\n')
    const { isValid, problems } = await server.owner.agents.validate({ path })
    expect(isValid).toBe(false)
    expect(problems.length).toBeGreaterThan(0)
    const refused = await server.owner.agents.register({ path }).catch((error) => error)
    expect([refused.status, refused.errors.length > 0]).toEqual([422, true])
  })
})

test('without a registry nothing is registered, and it is said so', async () => {
  await using plain = await startApiServer()
  await expectProblem(plain.owner.workflows.register({ text: WORKFLOW }), 501, 'no_registry')
})

function toApiRegistry(store: Store, directory: string): ApiRegistry {
  const registry = createRegistry({ records: store, directory: join(directory, 'registry') })
  return {
    registerAgent: ({ path, actor }) => registry.registerAgent(path, { actor }),
    checkAgent: async ({ path }) => (await registry.validateAgent(path)).problems,
    registerWorkflow: ({ text, actor }) => registry.registerWorkflow(text, { actor }),
    checkWorkflow: async ({ text }) => (await registry.validateWorkflow(text)).problems,
  }
}
