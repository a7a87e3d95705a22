import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Registry } from '../../src/registry/contract.ts'
import { createRegistry } from '../../src/registry/create-registry.ts'
import type { ForeignFileError } from '../../src/registry/import/foreign-file.ts'
import { type ImportOptions, importRegistry } from '../../src/registry/import/import-registry.ts'
import type { ImportItem } from '../../src/registry/import/import-report.ts'
import type { Store } from '../../src/store/contract.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { COUNTER, writeFiles, writeForeignRegistry } from '../support/foreign-registry.ts'

let root: string
let file: string
let store: Store
let registry: Registry

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'swarm-import-'))
  file = join(root, 'theirs', 'registry.db')
  await mkdir(join(root, 'staging'))
  await writeFiles(
    join(root, 'theirs'),
    Object.fromEntries(Object.entries(COUNTER).map(([name, text]) => [`agents/counter/${name}`, text])),
  )
  let now = 1_800_000_000_000
  store = await openSqliteStore({
    path: join(root, 'swarm.db'),
    clock: { now: () => now++ },
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  })
  registry = createRegistry({ records: store, directory: join(root, 'registry') })
  await registry.registerShipped({})
})

afterEach(async () => {
  await store.close()
  await rm(root, { recursive: true, force: true })
})

const AGENT = {
  name: 'counter',
  version: '1.0.0',
  path: 'agents/counter',
  description: 'Counts',
  runtime: 'python3',
}
const STEPS = [{ id: 'count', agent: 'counter' }]
const WORKFLOW = { name: 'count', version: '1', description: 'Counts', steps: JSON.stringify(STEPS) }

const SAY = JSON.stringify([{ id: 'say', agent: 'echo', params: { message: 'x' } }])

type Changes = Partial<Omit<ImportOptions, 'tables'>> & {
  readonly tables?: ImportOptions['tables']
  readonly isDryRun?: boolean
}

const usual = (table: string) => ({ table, columns: new Map(), values: new Map() })

async function runImport({ isDryRun = false, ...changes }: Changes = {}) {
  const known = {
    agents: await registry.listAgents(),
    workflows: await registry.listWorkflows(),
  }
  const refusalOf = async (registering: Promise<unknown>) =>
    await registering.then(
      () => undefined,
      (error: Error) => error.message,
    )
  const by = { actor: 'test' }
  const register = {
    agent: (path: string) => refusalOf(registry.registerAgent(path, by)),
    workflow: (text: string) => refusalOf(registry.registerWorkflow(text, by)),
  }
  return await importRegistry({
    file,
    tables: { agents: usual('agents'), workflows: usual('workflows') },
    renames: { agents: new Map(), workflows: new Map() },
    stagingDirectory: join(root, 'staging'),
    target: isDryRun ? { known } : { known, register },
    ...changes,
  })
}

async function importFirst(changes: Changes = {}): Promise<ImportItem> {
  const [first] = (await runImport(changes)).items
  if (first === undefined) throw new Error('nothing was imported')
  return first
}

async function failureOf(changes: Changes = {}): Promise<ForeignFileError> {
  return await runImport(changes).then(
    () => Promise.reject(new Error('it was taken')),
    (error: ForeignFileError) => error,
  )
}

const digestOf = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
const outcomes = (items: readonly ImportItem[]) => items.map(({ name, outcome }) => `${name} ${outcome}`)

describe('what is taken', () => {
  test('an agent and a workflow are registered as the file says, and the same file again changes nothing', async () => {
    await writeForeignRegistry(file, { agents: [AGENT], workflows: [WORKFLOW] })
    expect(outcomes((await runImport()).items)).toEqual(['counter taken', 'count taken'])
    const agent = await registry.getAgent('counter')
    expect(agent.manifest).toMatchObject({
      runtime: 'python3',
      entry: 'main.py',
      workspace: false,
      network: { hosts: [], models: [] },
    })
    expect((await registry.findWorkflow('count'))?.workflow.steps).toMatchObject([
      { id: 'count', kind: 'agent', agent: 'counter' },
    ])
    const count = (await registry.listAgents()).length
    expect(outcomes((await runImport()).items)).toEqual(['counter unchanged', 'count unchanged'])
    expect((await registry.listAgents()).length).toBe(count)
    expect(await readdir(join(root, 'staging'))).toEqual([])
  })

  test('a dry run says the same and registers nothing', async () => {
    await writeForeignRegistry(file, { agents: [AGENT], workflows: [WORKFLOW] })
    expect(outcomes((await runImport({ isDryRun: true })).items)).toEqual(['counter taken', 'count taken'])
    expect(await registry.findPackage('counter')).toBeUndefined()
    expect(await registry.findWorkflow('count')).toBeUndefined()
    expect(await readdir(join(root, 'staging'))).toEqual([])
  })

  test('an agent.yaml of its own wins over the row, and steps that name the row mean it', async () => {
    await writeFiles(join(root, 'theirs/agents/own'), {
      'agent.yaml':
        'name: own-agent\nversion: "2.0.0"\ndescription: Own\nruntime: sh\nentry: go.sh\ninputs: { type: object }\noutputs: { type: object }\n',
      'go.sh': 'true\n',
    })
    const steps = JSON.stringify([{ id: 'go', agent: 'Old Name' }])
    await writeForeignRegistry(file, {
      agents: [{ ...AGENT, name: 'Old Name', path: 'agents/own' }],
      workflows: [{ ...WORKFLOW, steps }],
    })
    const { items } = await runImport()
    expect(outcomes(items)).toEqual(['own-agent changed', 'count changed'])
    expect((await registry.getAgent('own-agent')).version).toBe('2.0.0')
    expect((await registry.findWorkflow('count'))?.workflow.steps).toMatchObject([{ agent: 'own-agent' }])
  })

  test('other tables, columns and values are named, also of a view', async () => {
    await writeForeignRegistry(file, {
      schema: `create table raw (n text, dir text); insert into raw values ('counter', 'agents/counter');
        create view "the ""bots""" as select n as "a name", dir from raw;`,
    })
    const table = {
      table: 'THE "bots"',
      columns: new Map([
        ['name', 'a name'],
        ['path', 'DIR'],
      ]),
      values: new Map([
        ['version', '3.0.0'],
        ['runtime', 'python3'],
        ['description', 'Counts'],
        ['entry', './main.py'],
      ]),
    }
    expect(await importFirst({ tables: { agents: table } })).toMatchObject({
      name: 'counter',
      version: '3.0.0',
      outcome: 'taken',
    })
  })

  test('workflows are registered after those that they run, whatever the order of the table', async () => {
    const steps = JSON.stringify([{ id: 'child', type: 'workflow', workflow: 'The Count' }])
    await writeForeignRegistry(file, {
      agents: [AGENT],
      workflows: [
        { ...WORKFLOW, name: 'a-parent', steps },
        { ...WORKFLOW, name: 'The Count' },
      ],
    })
    expect(outcomes((await runImport()).items)).toEqual([
      'counter taken',
      'the-count changed',
      'a-parent changed',
    ])
  })

  test('numbers, texts in binary form and dates of any column are read as text', async () => {
    await writeForeignRegistry(file, {
      agents: [{ ...AGENT, version: 2 }],
      workflows: [{ ...WORKFLOW, version: 1.5, steps: new TextEncoder().encode(WORKFLOW.steps) }],
    })
    expect((await runImport()).items).toMatchObject([
      { version: '2.0.0' },
      { version: '1.5', outcome: 'taken' },
    ])
  })
})

describe('what is refused', () => {
  test('one row keeps no other one from being taken', async () => {
    await writeForeignRegistry(file, {
      agents: [AGENT, { ...AGENT, name: 'absent', path: 'agents/absent' }],
      workflows: [WORKFLOW, { ...WORKFLOW, name: 'broken', steps: '{' }],
    })
    const { items } = await runImport()
    expect(outcomes(items)).toEqual(['absent refused', 'counter taken', 'broken refused', 'count taken'])
  })

  test.each([
    ['no agent of that name', [{ id: 'a', agent: 'nobody' }], 'there is no agent "nobody"'],
    ['no such version of it', [{ id: 'a', agent: 'counter@7.0' }], 'there is no agent "counter" "7.0"'],
    ['an agent that was refused', [{ id: 'a', agent: 'absent' }], 'its agent "absent" was refused'],
    ['an agent by a reference', [{ id: 'a', agent: '{{inputs.agent}}' }], 'its agent is a reference'],
    [
      'no workflow of that name',
      [{ id: 'a', type: 'workflow', workflow: 'nothing' }],
      'there is no workflow "nothing"',
    ],
  ])(
    'U6: what cannot be routed fails at once with its reason: a step with %s',
    async (_what, steps, problem) => {
      await writeForeignRegistry(file, {
        agents: [AGENT, { ...AGENT, name: 'absent', path: 'agents/absent' }],
        workflows: [{ ...WORKFLOW, steps: JSON.stringify(steps) }],
      })
      const item = (await runImport()).items.at(-1)
      expect(item).toMatchObject({ outcome: 'refused' })
      expect(item?.problems.join()).toContain(problem)
      expect(await registry.findWorkflow('count')).toBeUndefined()
    },
  )

  test('U6: a step that spells its agent otherwise means the one that is registered', async () => {
    const steps = JSON.stringify([{ id: 'a', agent: 'WORD_counter' }])
    await writeForeignRegistry(file, {
      agents: [{ ...AGENT, name: 'Word Counter' }],
      workflows: [{ ...WORKFLOW, steps }],
    })
    await runImport()
    expect((await registry.findWorkflow('count'))?.workflow.steps).toMatchObject([{ agent: 'word-counter' }])
  })

  test('rows that would become one are all refused, and the one that is called so already is taken', async () => {
    await writeForeignRegistry(file, {
      agents: [
        { ...AGENT, name: 'Counter' },
        AGENT,
        { ...AGENT, name: 'two words' },
        { ...AGENT, name: 'Two_Words' },
      ],
    })
    const { items } = await runImport({
      renames: { agents: new Map([['Two_Words', 'third']]), workflows: new Map() },
    })
    expect(outcomes(items)).toEqual([
      'counter refused',
      'third changed',
      'counter taken',
      'two-words changed',
    ])
    const again = await runImport({ isDryRun: true })
    expect(outcomes(again.items).filter((text) => text.startsWith('two-words'))).toEqual([
      'two-words refused',
      'two-words refused',
    ])
  })

  test('of two rows with one name and version the second is refused', async () => {
    await writeForeignRegistry(file, { agents: [AGENT, AGENT] })
    expect(outcomes((await runImport()).items)).toEqual(['counter taken', 'counter refused'])
  })

  test('a version with another content is refused, and the registered one stays', async () => {
    await writeForeignRegistry(file, { agents: [AGENT], workflows: [WORKFLOW] })
    await runImport()
    await writeFile(join(root, 'theirs/agents/counter/main.py'), 'print("other")\n')
    const { digest } = await registry.getAgent('counter')
    expect(await importFirst()).toMatchObject({
      outcome: 'refused',
      problems: [expect.stringContaining('raise it')],
    })
    expect((await registry.getAgent('counter')).digest).toBe(digest)
  })

  test('a name that comes with Swarm is not replaced', async () => {
    await writeForeignRegistry(file, {
      agents: [{ ...AGENT, name: 'coder', version: '99.0.0' }],
      workflows: [
        {
          ...WORKFLOW,
          name: 'code-change',
          version: '99',
          steps: '[{"agent": "echo", "with": {"message": "x"}}]',
        },
      ],
    })
    const { items } = await runImport()
    expect(outcomes(items)).toEqual(['coder refused', 'code-change refused'])
    expect((await registry.getAgent('coder')).source).toBe('shipped')
  })

  test.each([
    ['leads out of the folder', '../outside'],
    ['leads out through a link', 'link'],
    ['is a file', 'registry.db'],
    ['is not there', 'agents/none'],
    ['holds a NUL', 'agents/\u0000counter'],
    ['is empty', ''],
    ['is endless', 'x/'.repeat(9_000)],
  ])('U14: an agent whose path %s is refused', async (_what, path) => {
    await writeFiles(join(root, 'outside'), COUNTER)
    await writeForeignRegistry(file, { agents: [{ ...AGENT, path }] })
    await symlink('../outside', join(root, 'theirs', 'link'))
    expect(await importFirst()).toMatchObject({ outcome: 'refused' })
    expect(await registry.findPackage('counter')).toBeUndefined()
  })

  test('U14: a link among the files of an agent is refused, also as its agent.yaml', async () => {
    await writeFiles(join(root, 'theirs/agents/linked'), COUNTER)
    await symlink('/etc/passwd', join(root, 'theirs/agents/linked/data'))
    await writeFiles(join(root, 'theirs/agents/manifest'), COUNTER)
    await symlink('/etc/passwd', join(root, 'theirs/agents/manifest/agent.yaml'))
    await writeForeignRegistry(file, {
      agents: [
        { ...AGENT, name: 'linked', path: 'agents/linked' },
        { ...AGENT, name: 'manifest', path: 'agents/manifest' },
      ],
    })
    expect(outcomes((await runImport()).items)).toEqual(['linked refused', 'manifest refused'])
  })

  test('U14: an absolute path is what its owner meant', async () => {
    await writeFiles(join(root, 'outside'), COUNTER)
    await writeForeignRegistry(file, { agents: [{ ...AGENT, path: join(root, 'outside') }] })
    expect(await importFirst()).toMatchObject({ outcome: 'taken' })
  })

  test.each([
    ['a method', [{ id: 'ask', type: 'http', url: 'https://example.com', method: { toString: 1 } }]],
    ['a version', [{ id: 'count', agent: { name: 'counter', version: { toString: null } } }]],
    ['a version beside', [{ id: 'count', agent: 'counter', agent_version: [{ valueOf: 1, toString: 1 }] }]],
  ])('U14: %s that is no text refuses its own row only', async (_name, steps) => {
    const hostile = { ...WORKFLOW, name: 'hostile', steps: JSON.stringify(steps) }
    await writeForeignRegistry(file, { agents: [AGENT], workflows: [WORKFLOW, hostile] })
    expect(outcomes((await runImport()).items)).toEqual(['counter taken', 'count taken', 'hostile refused'])
  })

  test('U14: YAML, SQL and control characters in names and texts are text', async () => {
    const hostile = 'x"\n  network: { hosts: "*" }\r\n# \u0000 &a *a !!js/function ${inputs.a} {{ b }}'
    await writeForeignRegistry(file, {
      agents: [{ ...AGENT, name: hostile, description: hostile }],
      workflows: [{ ...WORKFLOW, name: hostile, description: hostile, steps: SAY }],
    })
    const { items } = await runImport()
    expect(items.map(({ outcome }) => outcome)).toEqual(['changed', 'changed'])
    const name = items[0]?.name ?? ''
    expect(name).toMatch(/^[a-z][a-z0-9-]*$/)
    expect((await registry.getAgent(name)).manifest).toMatchObject({
      description: hostile,
      network: { hosts: [] },
    })
    expect((await registry.getWorkflow(items[1]?.name ?? '')).text).not.toContain('\n  network:')
  })

  test('values that are too long or no text are refused by their size', async () => {
    await writeForeignRegistry(file, {
      agents: [
        { ...AGENT, description: 'x'.repeat(300_000) },
        { ...AGENT, name: new Uint8Array([255, 254]) },
      ],
      workflows: [
        { ...WORKFLOW, steps: `[${' '.repeat(300_000)}]` },
        { ...WORKFLOW, name: null },
      ],
    })
    const { items } = await runImport()
    expect(items.map(({ outcome }) => outcome)).toEqual(['refused', 'refused', 'refused', 'refused'])
    expect(JSON.stringify(items)).toContain('its steps is too long: 300002 bytes')
    expect(JSON.stringify(items).length).toBeLessThan(5_000)
  })
})

describe('the file', () => {
  test.each(['wal', 'delete'])('is not touched, nor anything beside it, in journal mode %s', async (mode) => {
    await writeForeignRegistry(file, { agents: [AGENT], workflows: [WORKFLOW] })
    const owner = new DatabaseSync(file)
    owner.exec(`pragma journal_mode = ${mode}`)
    owner.close()
    const before = { digest: await digestOf(file), names: await readdir(join(root, 'theirs')) }
    await runImport()
    expect({ digest: await digestOf(file), names: await readdir(join(root, 'theirs')) }).toEqual(before)
    expect(await readdir(join(root, 'theirs/agents/counter'))).toEqual(['main.py'])
  })

  test('is read while its program has it open in WAL mode, with what is only in the log', async () => {
    await writeForeignRegistry(file, { agents: [], workflows: [] })
    const owner = new DatabaseSync(file)
    try {
      owner.exec('pragma journal_mode = wal')
      owner.exec(
        "insert into agents (name, version, path, description, runtime) values ('counter', '1.0.0', 'agents/counter', 'x', 'python3')",
      )
      expect(await importFirst()).toMatchObject({ outcome: 'taken' })
    } finally {
      owner.close()
    }
  })

  test('that stays locked is given up after a bounded wait', async () => {
    await writeForeignRegistry(file, { agents: [AGENT] })
    // A process of its own: locks of this one would not hold against it.
    const hold =
      "const db = new (require('node:sqlite').DatabaseSync)(process.argv[1]); db.exec('begin exclusive'); console.log('locked'); setInterval(() => {}, 1000)"
    const owner = spawn(process.execPath, ['-e', hold, file], { stdio: ['ignore', 'pipe', 'ignore'] })
    try {
      await once(owner.stdout, 'data')
      expect(await failureOf({ busyTimeoutMs: 200 })).toMatchObject({
        code: 'locked',
        message: expect.stringContaining('another program held'),
      })
    } finally {
      owner.kill('SIGKILL')
    }
  })

  test('with a view that never ends is given up, and the import ends', async () => {
    await writeForeignRegistry(file, {
      schema: `create view agents as with recursive n(x) as (select 1 union all select x + 1 from n)
        select x as name, x as version, x as path, x as runtime from n where x < 0;`,
    })
    expect(await failureOf({ tables: { agents: usual('agents') }, timeoutMs: 1_500 })).toMatchObject({
      code: 'unreadable',
      message: expect.stringContaining('took longer'),
    })
  })

  test('with a view that never ends keeps no process when the import is killed', async () => {
    await writeForeignRegistry(file, {
      schema: `create view agents as with recursive n(x) as (select 1 union all select x + 1 from n)
        select x as name, x as version, x as path, x as runtime from n where x < 0;`,
    })
    const program = fileURLToPath(new URL('../../src/registry/import/read-foreign-file.ts', import.meta.url))
    const reader = spawn(process.execPath, [program], { stdio: ['pipe', 'ignore', 'inherit'] })
    onTestFinished(() => void reader.kill('SIGKILL'))
    const ended = once(reader, 'exit')
    const tables = [{ kind: 'agents', table: 'agents', columns: [], values: [] }]
    reader.stdin.end(JSON.stringify({ path: file, busyTimeoutMs: 1_000, endAfterMs: 1_000, tables }))
    expect(await ended).toEqual([null, 'SIGKILL'])
  })

  test('of more rows than are read is refused as a whole', async () => {
    await writeForeignRegistry(file, {
      schema: `create view agents as with recursive n(x) as (select 1 union all select x + 1 from n)
        select x as name, x as version, x as path, x as runtime from n limit 1001;`,
    })
    expect(await failureOf({ tables: { agents: usual('agents') } })).toMatchObject({ code: 'too_large' })
  })

  test('without a column says which option would name it, and guesses nothing', async () => {
    await writeForeignRegistry(file, {
      schema: 'create table agents (title text, version text, pfad text, runtime text);',
    })
    const { code, message } = await failureOf({ tables: { agents: usual('agents') } })
    expect(code).toBe('column_missing')
    expect(message).toContain('no column "name" (known: title, version, pfad, runtime)')
    expect(message).toContain('--column agents.name=<column>')
    expect(message).toContain('--column agents.path=<column>')
  })

  test('that is no registry is refused in one sentence each', async () => {
    const refused = async (path: string) =>
      (({ code, message }) => `${code}: ${message}`)(await failureOf({ file: path }))
    await writeFile(join(root, 'text.db'), 'hello, this is a text and not a database at all')
    await writeFile(join(root, 'empty.db'), '')
    await writeForeignRegistry(join(root, 'other.db'), { schema: 'create table songs (title text);' })
    await writeFile(join(root, 'cut.db'), (await readFile(join(root, 'other.db'))).subarray(0, 3_000))
    expect(await refused(join(root, 'none.db'))).toMatch(/^file_missing: there is no file/)
    expect(await refused(root)).toMatch(/^not_a_registry: .* is a directory/)
    expect(await refused(join(root, 'empty.db'))).toMatch(/^not_a_registry: .* is empty/)
    expect(await refused(join(root, 'text.db'))).toMatch(/^not_a_registry: .* is not an SQLite database/)
    expect(await refused(join(root, 'cut.db'))).toMatch(/^(not_a_registry|unreadable|table_missing): /)
    expect(await refused(join(root, 'other.db'))).toMatch(/^table_missing: .* it has "songs"/)
    expect(await refused(join(root, 'swarm.db'))).toMatch(/^own_store: .* Swarm's own store/)
  })
})
