/** What somebody new does wrong, and the words that get them further. */
import { existsSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { createRegistry } from '../../src/registry/create-registry.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { makeDirectory, runCli } from './cli-process.ts'

describe('without a daemon', () => {
  test.each(['up', 'status', 'down'])(
    'a state directory that cannot be used is said without a stack: %s',
    async (command) => {
      const stateDir = await makeDirectory()
      await mkdir(join(stateDir, 'daemon.json'))
      const refused = await runCli([command, '--state-dir', stateDir, '--timeout', '30s'])
      expect(refused.code).not.toBe(0)
      expect(refused.stderr).not.toMatch(/mistake in swarm|^ {4}at /m)
    },
  )

  test('a state directory where none can be made ends `up` and `init` at once', async () => {
    const config = join(await makeDirectory(), 'config.yaml')
    for (const command of [['up'], ['up', '--detach'], ['init', '--config', config]]) {
      const refused = await runCli([...command, '--state-dir', '/proc/swarm/state'])
      expect(refused).toMatchObject({ code: EXIT.failed, stdout: '' })
      expect(refused.stderr).toMatch(/\/proc\/swarm|no such file or directory/)
      expect(refused.stderr).not.toContain('mistake in swarm')
    }
    expect(existsSync(config)).toBe(false)
  })

  test('a state directory that others can write is refused with its fix, in the background too', async () => {
    const stateDir = await makeDirectory()
    await chmod(stateDir, 0o777)
    for (const command of [['up'], ['up', '--detach']]) {
      const refused = await runCli([...command, '--state-dir', stateDir])
      expect(refused).toMatchObject({ code: EXIT.failed, stdout: '' })
      expect(refused.stderr).toContain(`hint: chmod 700 ${stateDir}`)
      expect(refused.stderr).not.toContain('mistake in swarm')
    }
  })
})

describe('with a daemon', () => {
  let server: ApiServer
  beforeAll(async () => {
    server = await startApiServer({
      createRegistry: (records, directory) => {
        const registry = createRegistry({ records, directory: join(directory, 'registry') })
        return {
          registerAgent: ({ path, actor }) => registry.registerAgent(path, { actor }),
          checkAgent: async ({ path }) => (await registry.validateAgent(path)).problems,
          registerWorkflow: ({ text, actor }) => registry.registerWorkflow(text, { actor }),
          checkWorkflow: async ({ text }) => (await registry.validateWorkflow(text)).problems,
        }
      },
    })
    await server.owner.projects.create({ key: 'WEB', name: 'Web' })
  })
  afterAll(() => server[Symbol.asyncDispose]())

  const swarm = (...args: string[]) => runCli([...args, '--state-dir', server.directory])

  test('a file that is not there is named in words', async () => {
    const { code, stderr } = await swarm('ticket', 'create', 'x', '-F', '/absent/request.md')
    expect(code).toBe(EXIT.usage)
    expect(stderr).toBe('error: cannot read /absent/request.md: no such file or directory\n')
  })

  test('a scope that does not exist is said once, with those that do', async () => {
    const { code, stderr } = await swarm('token', 'create', 'ci', '--scope', 'everything')
    expect(code).toBe(EXIT.usage)
    expect(stderr.split('expected one of')).toHaveLength(2)
    expect(stderr).toContain('"review"')
  })

  test('over TCP without a token the options that give one are named', async () => {
    const { code, stderr } = await runCli(['ticket', 'list', '--url', server.url])
    expect(code).toBe(EXIT.auth)
    expect(stderr).toContain('--token-file')
  })

  test('a wrong workflow is refused by the name of its file, each mistake once', async () => {
    const home = await makeDirectory()
    const text = 'name: x\nversion: 1\nsteps:\n  - { id: a, kind: agent, agent: nobody }\n'
    await writeFile(join(home, 'mine.yaml'), text)
    for (const verb of ['validate', 'register']) {
      const refused = await runCli(['workflow', verb, 'mine.yaml', '--state-dir', server.directory], {
        cwd: home,
      })
      expect(refused.code).not.toBe(0)
      const said = refused.stdout + refused.stderr
      expect(said.match(/^ *mine\.yaml:4:\d+: /gm)).toHaveLength(1)
      expect(said).not.toContain('workflow.yaml')
    }
  })

  test('a word that is no ticket is answered with how to find one', async () => {
    const { code, stderr } = await swarm('ticket', 'show', 'abc')
    expect(code).toBe(EXIT.usage)
    expect(stderr).toContain('"abc" names no ticket')
    expect(stderr).toContain('hint: swarm ticket list')
  })
})
