import { randomBytes } from 'node:crypto'
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Registry } from '../../src/registry/contract.ts'
import { createRegistry } from '../../src/registry/create-registry.ts'
import { SHIPPED_DIRECTORY } from '../../src/registry/register-shipped.ts'
import type { Store } from '../../src/store/contract.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'

let root: string
let store: Store
let registry: Registry
let now: number

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'swarm-registry-'))
  now = 1_800_000_000_000
  store = await openSqliteStore({ path: ':memory:', clock: { now: () => now++ }, randomBytes })
  registry = createRegistry({ records: store, directory: join(root, 'registry') })
})

afterEach(async () => {
  await store.close()
  await rm(root, { recursive: true, force: true })
})

const MANIFEST = `name: sample
version: "1.0.0"
description: A sample
runtime: sh
entry: bin/run.sh
inputs: { type: object, properties: { count: { type: integer, default: 1 } }, additionalProperties: false }
outputs: { type: object }
`

async function writePackage(changes: Record<string, string> = {}): Promise<string> {
  const directory = await mkdtemp(join(root, 'package-'))
  await mkdir(join(directory, 'bin'))
  const files = { 'agent.yaml': MANIFEST, 'bin/run.sh': 'echo hello\n', ...changes }
  for (const [path, content] of Object.entries(files)) await writeFile(join(directory, path), content)
  return directory
}

const by = { actor: 'test' }

describe('shipped agents and workflows', () => {
  test('four agents and four workflows are there after start-up, and a second start changes nothing', async () => {
    await registry.registerShipped({})
    const names = async () => [
      (await registry.listAgents()).map((agent) => agent.name).sort(),
      (await registry.listWorkflows()).map((workflow) => workflow.name).sort(),
    ]
    const expected = [
      ['coder', 'echo', 'http-fetch', 'script'],
      ['code-change', 'echo-chain', 'linear', 'parallel'],
    ]
    expect(await names()).toEqual(expected)
    const before = await store.read.listAgents()
    await registry.registerShipped({})
    expect(await names()).toEqual(expected)
    expect(await store.read.listAgents()).toEqual(before)
  })

  test('every shipped workflow fits the shipped agents', async () => {
    await registry.registerShipped({})
    for (const { name, text } of await registry.listWorkflows()) {
      expect(await registry.validateWorkflow(text), name).toEqual({ isValid: true, problems: [] })
    }
  })

  test('an update that kept a version is recorded beside it and is the newest', async () => {
    await registry.registerShipped({})
    const shipped = join(root, 'shipped')
    await cp(SHIPPED_DIRECTORY, shipped, { recursive: true })
    const main = join(shipped, 'agents', 'echo', 'main.ts')
    await writeFile(main, `${await readFile(main, 'utf8')}// changed\n`)
    const linear = join(shipped, 'workflows', 'linear.yaml')
    await writeFile(linear, `${await readFile(linear, 'utf8')}# changed\n`)
    const updated = createRegistry({
      records: store,
      directory: join(root, 'registry'),
      shippedDirectory: shipped,
    })
    for (let start = 0; start < 2; start++) await updated.registerShipped({})

    const echo = await updated.getAgent('echo')
    expect(echo.version).toMatch(/^1\.0\.0\+[0-9a-f]{8}$/)
    expect((await updated.getAgent('echo', '1.0.0')).digest).not.toBe(echo.digest)
    expect((await updated.getWorkflow('linear')).text).toContain('# changed')
    expect((await updated.getWorkflow('linear', '1')).text).not.toContain('# changed')
    expect((await updated.listAgents()).filter(({ name }) => name === 'echo')).toHaveLength(2)
  })
})

describe('registering an agent', () => {
  test('copies it read-only, and what happens to the original afterwards does not matter', async () => {
    const directory = await writePackage()
    const record = await registry.registerAgent(directory, by)
    expect(record).toMatchObject({ name: 'sample', version: '1.0.0', source: 'registered' })
    expect(record.path).toBe(join(root, 'registry', 'agents', 'sample', '1.0.0'))
    await writeFile(join(directory, 'bin/run.sh'), 'rm -rf /\n')
    expect(await readFile(join(record.path, 'bin/run.sh'), 'utf8')).toBe('echo hello\n')
    expect((await lstat(join(record.path, 'bin/run.sh'))).mode & 0o777).toBe(0o444)

    const found = await registry.findPackage('sample')
    expect(found).toMatchObject({ runtime: 'sh', entry: 'bin/run.sh', memoryMib: 512, digest: record.digest })
    expect(await found?.checkInputs({})).toEqual({ ok: true, value: { count: 1 } })
    expect(await found?.checkInputs({ extra: 1 })).toMatchObject({ ok: false })
  })

  test('the same again changes nothing; the same version with another content is refused', async () => {
    const directory = await writePackage()
    const first = await registry.registerAgent(directory, by)
    expect(await registry.registerAgent(directory, by)).toEqual(first)
    const other = await writePackage({ 'bin/run.sh': 'echo other\n' })
    await expect(registry.registerAgent(other, by)).rejects.toMatchObject({ code: 'version_taken' })
    expect(await readFile(join(first.path, 'bin/run.sh'), 'utf8')).toBe('echo hello\n')

    const raised = await writePackage({
      'agent.yaml': MANIFEST.replace('1.0.0', '1.10.0'),
      'bin/run.sh': 'echo other\n',
    })
    await registry.registerAgent(raised, by)
    expect((await registry.getAgent('sample')).version).toBe('1.10.0')
  })

  test('at once by several, it is registered once', async () => {
    const directory = await writePackage()
    const records = await Promise.all(Array.from({ length: 5 }, () => registry.registerAgent(directory, by)))
    expect(new Set(records.map(({ digest }) => digest)).size).toBe(1)
    expect(await registry.listAgents()).toHaveLength(1)
    expect(await readdir(join(root, 'registry', 'agents', 'sample'))).toEqual(['1.0.0'])
  })

  test('a copy that was damaged is put in order by registering again', async () => {
    const directory = await writePackage()
    const { path } = await registry.registerAgent(directory, by)
    await chmod(join(path, 'bin/run.sh'), 0o644)
    await writeFile(join(path, 'bin/run.sh'), 'broken')
    await registry.registerAgent(directory, by)
    expect(await readFile(join(path, 'bin/run.sh'), 'utf8')).toBe('echo hello\n')
    await rm(path, { recursive: true })
    await registry.registerAgent(directory, by)
    expect(await readFile(join(path, 'bin/run.sh'), 'utf8')).toBe('echo hello\n')
    expect(await readdir(join(root, 'registry', 'agents', 'sample'))).toEqual(['1.0.0'])
  })

  test.each<[string, Record<string, string>, string, RegExp]>([
    [
      'no entry',
      { 'agent.yaml': MANIFEST.replace('bin/run.sh', 'bin/none.sh') },
      'package_invalid',
      /no file bin\/none\.sh/,
    ],
    [
      'a mistake',
      { 'agent.yaml': MANIFEST.replace('runtime', 'runtme') },
      'manifest_invalid',
      /agent\.yaml:4:1: unknown key "runtme" \(did you mean/,
    ],
    [
      'an entry that is not executable',
      { 'agent.yaml': MANIFEST.replace('runtime: sh', 'runtime: exec') },
      'package_invalid',
      /chmod \+x/,
    ],
    ['a file that is too large', { 'bin/big': 'x'.repeat(17 * 1024 * 1024) }, 'package_invalid', /too large/],
  ])('a package with %s is refused, and nothing is kept', async (_name, changes, code, message) => {
    const directory = await writePackage(changes)
    await expect(registry.registerAgent(directory, by)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    })
    const validation = await registry.validateAgent(directory)
    expect(validation.isValid).toBe(false)
    expect(validation.problems.join('\n')).toMatch(message)
    expect(await registry.listAgents()).toEqual([])
    await expect(lstat(join(root, 'registry'))).rejects.toThrow(/ENOENT/)
  })

  test('U14: paths that escape are inert: links, and directories that are none', async () => {
    const linked = await writePackage()
    await symlink('/etc/passwd', join(linked, 'bin', 'passwd'))
    await expect(registry.registerAgent(linked, by)).rejects.toMatchObject({ code: 'package_invalid' })
    const linkedDirectory = await writePackage()
    await symlink('/etc', join(linkedDirectory, 'etc'))
    await expect(registry.registerAgent(linkedDirectory, by)).rejects.toMatchObject({
      code: 'package_invalid',
    })
    const controlled = await writePackage({ 'bin/a\nb': '' })
    await expect(registry.registerAgent(controlled, by)).rejects.toMatchObject({ code: 'package_invalid' })
    for (const directory of [join(root, 'none'), '/etc/passwd', '']) {
      expect((await registry.validateAgent(directory)).isValid).toBe(false)
    }
    for (const name of ['../x', 'a/b', 'A', '', '.hidden']) {
      const directory = await writePackage({ 'agent.yaml': MANIFEST.replace('sample', JSON.stringify(name)) })
      await expect(registry.registerAgent(directory, by), name).rejects.toMatchObject({
        code: 'manifest_invalid',
      })
    }
  })
})

describe('U6: what is not there is said at once, with its reason', () => {
  test('an agent', async () => {
    await registry.registerShipped({})
    expect(await registry.findPackage('no-such-agent')).toBeUndefined()
    expect(await registry.findPackage('echo', '9.9.9')).toBeUndefined()
    await expect(registry.getAgent('no-such-agent')).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('there is no agent no-such-agent'),
    })
  })

  test('a workflow that names an agent that is not there is not registered', async () => {
    await registry.registerShipped({})
    const text = 'name: mine\nversion: 1\nsteps:\n  - id: only\n    kind: agent\n    agent: ecco\n'
    const validation = await registry.validateWorkflow(text, { file: 'mine.yaml' })
    expect(validation.problems.join('\n')).toMatch(/^mine\.yaml:6:\d+: .*"?ecco"?.*echo/m)
    await expect(registry.registerWorkflow(text, by)).rejects.toMatchObject({ code: 'workflow_invalid' })
    expect(await registry.findWorkflow('mine')).toBeUndefined()
  })
})

describe('registering a workflow', () => {
  const text = (version: number, message = 'hi') =>
    `name: mine\nversion: ${version}\nsteps:\n  - id: only\n    kind: agent\n    agent: echo\n    with: { message: ${message} }\n`

  test('the newest version is found; one version has one text', async () => {
    await registry.registerShipped({})
    const first = await registry.registerWorkflow(text(9), by)
    expect(await registry.registerWorkflow(text(9), by)).toEqual(first)
    await registry.registerWorkflow(text(10), by)
    expect((await registry.findWorkflow('mine'))?.workflow.version).toBe('10')
    expect((await registry.findWorkflow('mine', '9'))?.workflow.version).toBe('9')
    await expect(registry.registerWorkflow(text(9, 'other'), by)).rejects.toMatchObject({
      code: 'version_taken',
    })
  })

  test('one of your own under a shipped name and version stays yours', async () => {
    const own = text(1)
      .replace('mine', 'linear')
      .replace('agent: echo', 'agent: sample')
      .replace(/ {4}with.*\n/, '')
    await registry.registerAgent(await writePackage(), by)
    await registry.registerWorkflow(own, by)
    await registry.registerShipped({})
    expect((await registry.getWorkflow('linear')).text).toBe(own)
  })
})
