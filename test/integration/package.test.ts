import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { COMMANDS, type CommandSpec } from '../../src/cli/commands.ts'
import { createClient } from '../../src/client/client.ts'
import { createUnixFetch } from '../../src/platform/fetch-unix.ts'
import { runProcess, spawnProcess } from '../../src/platform/process.ts'
import { makeTestDirectory, writeTestConfig } from '../support/test-swarm.ts'
import { waitFor, waitForTicket } from '../support/wait-for.ts'
import {
  type InstalledPackage,
  installPackage,
  type NodeMajor,
  npmEnvironment,
  ROOT,
  runInstalled,
} from './package-install.ts'

const SUPPORTED: readonly NodeMajor[] = [22, 24]
const PACKED_KIB_MAX = 1_024
const UNPACKED_KIB_MAX = 4_096
/** Programs that begin to work when they are loaded; what they serve has its own tests. */
const PROGRAMS = ['agent/shipped/fake-agent.js', 'registry/import/read-foreign-file.js']

let installed: InstalledPackage

beforeAll(async () => {
  installed = await installPackage()
}, 180_000)

afterAll(async () => await installed?.remove())

/** A path on which `node` is the one that is asked for: what the first line of a program finds. */
async function pathWith(major: NodeMajor): Promise<string> {
  return [dirname(await installed.findNode(major)), process.env.PATH ?? ''].join(delimiter)
}

/** Its standard output, when it succeeded and had nothing to say on stderr. */
async function quietly(argv: readonly string[], path?: string): Promise<string> {
  const { code, stdout, stderr } = await runInstalled(installed, argv, path)
  expect({ argv, code, stderr }).toEqual({ argv, code: 0, stderr: '' })
  return stdout
}

/** Every command, and every group of them. */
function listCommands(specs: readonly CommandSpec[], before: readonly string[] = []): string[][] {
  return specs.flatMap((spec) => {
    const path = [...before, spec.name]
    return [path, ...('commands' in spec ? listCommands(spec.commands, path) : [])]
  })
}

async function writeProgram(name: string, lines: readonly string[]): Promise<string> {
  const file = join(installed.project, name)
  await writeFile(file, lines.join('\n'))
  return file
}

test.each(SUPPORTED)(
  'U16: every entry point imports and answers --help in the packed tarball, installed, under Node %i',
  async (major) => {
    const node = await installed.findNode(major)
    const commands = [[], ...listCommands(COMMANDS)]
    expect(commands.length).toBeGreaterThan(50)
    for (let at = 0; at < commands.length; at += 4) {
      const answers = commands.slice(at, at + 4).map(async (command) => {
        const help = await quietly([node, installed.bin, ...command, '--help'])
        expect(help, command.join(' ')).toContain(['Usage: swarm', ...command].join(' '))
      })
      await Promise.all(answers)
    }
    expect(await quietly([node, installed.bin, '--version'])).toMatch(/^\d+\.\d+\.\d+\n$/)
  },
  120_000,
)

test.each(SUPPORTED)(
  'U16: every module, guest program and thread of the tarball starts under Node %i',
  async (major) => {
    const node = await installed.findNode(major)
    const dist = join(installed.root, 'dist')
    const modules = (await readdir(dist, { recursive: true })).filter((name) => /\.js$/.test(name))
    expect(modules.length).toBeGreaterThan(300)
    const program = await writeProgram('import-all.mjs', [
      "import { join } from 'node:path'",
      "import { pathToFileURL } from 'node:url'",
      "import { Worker } from 'node:worker_threads'",
      'const [dist, ...names] = process.argv.slice(2)',
      'const urlOf = (name) => pathToFileURL(join(dist, name)).href',
      // The body of a thread may refuse what it is not given; it must only be found, with all that it imports.
      "const body = (url) => `import('${url}').catch((e) => /^ERR_(MODULE|PACKAGE|UN)|Syntax/.test(e.code ?? e.name) ? Promise.reject(e) : 0).then(() => process.exit(0))`",
      'const start = (url) => new Promise((resolve, reject) => {',
      "  new Worker(body(url), { eval: true, workerData: {} }).on('error', reject).on('exit', resolve)",
      '})',
      'for (const name of names) {',
      "  const load = name.endsWith('-worker.js') ? start(urlOf(name)) : import(urlOf(name))",
      '  await load.catch((error) => console.error(name, error))',
      '}',
      "const { checkValue } = await import(urlOf('registry/check-value.js'))",
      // A pattern is checked in a thread of its own.
      "const schema = { type: 'object', properties: { word: { type: 'string', pattern: '^a+$' } } }",
      "console.log(JSON.stringify(await checkValue({ schema, value: { word: 'b' }, fillsDefaults: false })))",
    ])
    const imported = modules.filter(
      (name) => !PROGRAMS.includes(name) && !name.startsWith('registry/shipped/'),
    )
    const loud = await runInstalled(installed, [
      node,
      '--disable-warning=ExperimentalWarning',
      program,
      dist,
      ...imported,
    ])
    expect(loud).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(loud.stdout)).toEqual({ ok: false, problems: [expect.stringContaining('pattern')] })

    const workspace = await runInstalled(installed, [node, join(dist, 'guest/swarm-workspace.mjs')])
    expect(workspace.stderr).toBe('usage: swarm-workspace <open|harvest> <arguments.json>\n')
    expect(workspace.code).toBe(64)
    expect(await quietly([node, '--check', join(dist, 'guest/swarm-guest.mjs')])).toBe('')
  },
)

test('U16: Node 20 is told in one line what to do, and what it is told works', async () => {
  const node = await installed.findNode(20)
  const asked = [
    [node, installed.bin, '--help'],
    [node, installed.bin, 'ticket', 'list'],
    [node, '-e', `require(${JSON.stringify(join(installed.root, 'bin/swarm.cjs'))})`],
  ]
  let line = ''
  for (const argv of asked) {
    const { code, stdout, stderr } = await runInstalled(installed, argv)
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' })
    expect(stderr).toMatch(/^swarm needs Node\.js 22\.18 or newer, this is v20\.[^\n]*\n$/)
    line = stderr
  }
  const [, command] = /`npx -p node@24 (node .+) <command>`/.exec(line) ?? []
  // As `npx -p` does it: a newer Node is first on the path.
  expect(await quietly(['sh', '-c', `${command} --version`], await pathWith(24))).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test.each(SUPPORTED)(
  'U16: the program answers through links, npx and require() under Node %i',
  async (major) => {
    const path = await pathWith(major)
    const version = /^\d+\.\d+\.\d+\n$/
    expect(await quietly([installed.bin, '--version'], path)).toMatch(version)

    const links = await mkdtemp(join(installed.folder, 'links-'))
    await symlink(installed.bin, join(links, 'swarm'))
    await symlink(join(links, 'swarm'), join(links, 'swärm two'))
    expect(await quietly([join(links, 'swärm two'), '--version'], path)).toMatch(version)
    expect(await quietly(['swarm', '--version'], [links, path].join(delimiter))).toMatch(version)

    const npx = await runProcess({
      argv: ['npx', '--no', 'swarm', '--version'],
      cwd: installed.project,
      env: { ...npmEnvironment(), PATH: path, npm_config_loglevel: 'error' },
      timeoutMs: 30_000,
      outputBytesMax: 100_000,
    })
    expect(npx.stdout.toString('utf8')).toMatch(version)

    // As a process manager loads it: CommonJS, its own program in argv[1] replaced by ours.
    const container = await writeProgram('container.cjs', [
      'process.argv[1] = process.argv[2]; process.argv.splice(2, 1)',
      "require('node:module')._load(process.argv[1], null, true)",
    ])
    const node = await installed.findNode(major)
    for (const program of [installed.bin, join(installed.root, 'bin/swarm.cjs')])
      expect(await quietly([node, container, program, 'ticket', 'list', '--help'])).toContain(
        'Usage: swarm ticket list',
      )
  },
)

test.each(SUPPORTED)('the client is imported by its name under Node %i', async (major) => {
  const program = await writeProgram('use-client.mjs', [
    "import { createRequire } from 'node:module'",
    "import { createClient, ConnectionError } from 'swarm/client'",
    "import { createUnixFetch } from 'swarm/fetch-unix'",
    "const client = createClient({ baseUrl: 'http://localhost', fetch: createUnixFetch('/nonexistent.sock') })",
    'const error = await client.tickets.list().catch((error) => error)',
    "const required = createRequire(import.meta.url)('swarm/client').createClient",
    "const inner = await import('swarm/dist/main.js').catch((error) => error)",
    'console.log(error instanceof ConnectionError, required === createClient, inner.code)',
  ])
  const answer = await quietly([await installed.findNode(major), program])
  expect(answer).toBe('true true ERR_PACKAGE_PATH_NOT_EXPORTED\n')
})

test('the client has its types in the tarball', async () => {
  const program = await writeProgram('use-client.mts', [
    "import { createClient, type SwarmClient } from 'swarm/client'",
    "import { createUnixFetch } from 'swarm/fetch-unix'",
    "const client: SwarmClient = createClient({ baseUrl: 'http://localhost', fetch: createUnixFetch('/s') })",
    "const claim = await client.tickets.claimNext({ holder: 'builder-7' })",
    'export const epoch: number | undefined = claim?.lease.epoch',
    '// @ts-expect-error a ticket has no colour',
    'export const colour = claim?.ticket.colour',
  ])
  const types = await runInstalled(installed, [
    join(ROOT, 'node_modules/.bin/tsc'),
    ...['--noEmit', '--strict', '--ignoreConfig', '--module', 'nodenext', '--target', 'es2024'],
    ...['--typeRoots', join(ROOT, 'node_modules/@types'), '--types', 'node', program],
  ])
  expect(types).toEqual({ code: 0, stdout: '', stderr: '' })
})

test('the tarball holds what a user needs, and nothing of the machine that built it', async () => {
  const files = await readdir(installed.root, { recursive: true, withFileTypes: true })
  const names = files
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name).slice(installed.root.length + 1))
  expect(names).toEqual(
    expect.arrayContaining(['package.json', 'README.md', 'bin/swarm.cjs', 'dist/main.js']),
  )
  expect(names).toContain('dist/guest/swarm-guest.mjs')
  expect(names).toContain('dist/registry/shipped/agents/coder/main.ts')
  expect(names).toContain('dist/registry/shipped/workflows/code-change.yaml')
  expect(
    names.filter((name) => /\.test\.|^(test|src|bench|node_modules)\/|\.map$|\.tgz$/.test(name)),
  ).toEqual([])

  const places = [ROOT, installed.folder, ...(homedir() === '/root' ? [] : [homedir()])]
  const registry = await runProcess({
    argv: ['npm', 'config', 'get', 'registry'],
    env: npmEnvironment(),
    timeoutMs: 30_000,
    outputBytesMax: 10_000,
  })
  const { hostname } = new URL(registry.stdout.toString('utf8').trim())
  let unpackedBytes = 0
  for (const name of names) {
    const content = await readFile(join(installed.root, name), 'utf8')
    unpackedBytes += Buffer.byteLength(content)
    for (const trace of [...places, hostname])
      expect(content.includes(trace), `${name}: ${trace}`).toBe(false)
  }
  const { size } = await stat(installed.tarball)
  console.info(
    `the tarball: ${Math.round(size / 1024)} KiB packed, ${Math.round(unpackedBytes / 1024)} KiB in ${names.length} files`,
  )
  expect(size / 1024).toBeLessThan(PACKED_KIB_MAX)
  expect(unpackedBytes / 1024).toBeLessThan(UNPACKED_KIB_MAX)
})

test.each(SUPPORTED)(
  'U16: the daemon of the packed tarball runs a ticket in a sandbox under Node %i, and nothing warns',
  async (major) => {
    const directory = await makeTestDirectory()
    await writeTestConfig(directory, 'slots: 1\n')
    const home = join(directory, 'home')
    await mkdir(home)
    const daemon = spawnProcess({
      argv: [
        await installed.findNode(major),
        installed.bin,
        '--config',
        join(directory, 'config.yaml'),
        'up',
      ],
      cwd: installed.project,
      env: { PATH: process.env.PATH ?? '', HOME: home, LANG: 'C.UTF-8' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const said = Promise.all([daemon.stdout, daemon.stderr].map((stream) => (stream ? text(stream) : '')))
    try {
      const client = createClient({
        baseUrl: 'http://localhost',
        fetch: createUnixFetch(join(directory, 'state', 'api.sock')),
      })
      await waitFor('the daemon answers', async () => await client.health.live())
      await client.projects.create({ key: 'PK', name: 'Packed' })
      const { key } = await client.tickets.create({ project: 'PK', title: 'hello', workflow: 'linear' })
      const ticket = await waitForTicket(client, key, 'done')
      expect(ticket.outputs).toEqual({ message: 'PK-1: first said: hello' })
      expect((await client.tickets.list()).items.map((item) => item.key)).toEqual(['PK-1'])
    } finally {
      daemon.killGroup('SIGTERM')
      await daemon.exited
      await rm(directory, { recursive: true, force: true })
    }
    expect((await said).join('')).not.toMatch(/warning/i)
  },
)
