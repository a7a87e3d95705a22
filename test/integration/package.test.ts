import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { COMMANDS, type CommandSpec } from '../../src/cli/commands.ts'
import { createClient } from '../../src/client/client.ts'
import { createUnixFetch } from '../../src/platform/fetch-unix.ts'
import { runProcess, spawnProcess } from '../../src/platform/process.ts'
import { makeTestDirectory, writeTestConfig } from '../support/test-swarm.ts'
import { waitFor, waitForTicket } from '../support/wait-for.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const ENV = { PATH: process.env.PATH ?? '', HOME: '/nonexistent', LANG: 'C.UTF-8' }

let folder = ''
let swarm = ''

/** Packs a copy of the checkout, so that nobody else's `dist` is touched, and unpacks it where npm would. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'swarm-pack-'))
  const copy = join(folder, 'copy')
  const listed = await run([
    'git',
    '-C',
    ROOT,
    'ls-files',
    '-z',
    '--cached',
    '--others',
    '--exclude-standard',
  ])
  for (const name of listed.split('\0').filter(Boolean)) {
    await mkdir(dirname(join(copy, name)), { recursive: true })
    await cp(join(ROOT, name), join(copy, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
  }
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  await run(['node', 'scripts/build.ts'], copy)
  await run(['npm', 'pack', '--ignore-scripts', '--silent', '--pack-destination', folder], copy)
  const [tarball] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'))
  const modules = join(folder, 'installed', 'node_modules')
  await mkdir(modules, { recursive: true })
  await run(['tar', '-xzf', join(folder, tarball ?? ''), '-C', modules])
  await run(['mv', join(modules, 'package'), join(modules, 'swarm')])
  for (const name of await readdir(join(ROOT, 'node_modules'))) {
    if (!name.startsWith('.')) await symlink(join(ROOT, 'node_modules', name), join(modules, name))
  }
  swarm = join(modules, 'swarm', 'bin', 'swarm.cjs')
}, 120_000)

afterAll(async () => await rm(folder, { recursive: true, force: true }))

async function run(argv: readonly string[], cwd?: string): Promise<string> {
  const result = await runProcess({
    argv,
    env: { ...ENV, HOME: folder },
    timeoutMs: 100_000,
    outputBytesMax: 4 * 1024 * 1024,
    ...(cwd === undefined ? {} : { cwd }),
  })
  if (result.code !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr}${result.stdout}`)
  return result.stdout.toString('utf8')
}

function listCommands(specs: readonly CommandSpec[], before: readonly string[] = []): string[][] {
  return specs.flatMap((spec) => {
    const path = [...before, spec.name]
    return 'commands' in spec ? listCommands(spec.commands, path) : [path]
  })
}

test('U16: every entry point imports and answers --help in the packed tarball', async () => {
  const commands = listCommands(COMMANDS)
  expect(commands.length).toBeGreaterThan(40)
  for (let at = 0; at < commands.length; at += 4) {
    const answers = commands.slice(at, at + 4).map(async (path) => {
      const help = await run([process.execPath, swarm, ...path, '--help'])
      expect(help, path.join(' ')).toContain('Usage: swarm')
    })
    await Promise.all(answers)
  }
  expect(await run([process.execPath, swarm, '--version'])).toMatch(/^\d+\.\d+\.\d+\n$/)
}, 120_000)

test('the packed tarball holds what a user needs and no test', async () => {
  const files = await readdir(join(dirname(swarm), '..'), { recursive: true })
  expect(files).toContain('dist/guest/swarm-guest.mjs')
  expect(files).toContain('dist/registry/shipped/agents/coder/main.ts')
  expect(files).toContain('dist/registry/shipped/workflows/code-change.yaml')
  expect(files.filter((name) => /\.test\.|^test\/|^src\//.test(name))).toEqual([])
})

test('the daemon of the packed tarball runs a ticket in a sandbox', async () => {
  const directory = await makeTestDirectory()
  await writeTestConfig(directory, 'slots: 1\n')
  const daemon = spawnProcess({
    argv: [process.execPath, swarm, '--config', join(directory, 'config.yaml'), 'up'],
    env: ENV,
  })
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
  } finally {
    daemon.killGroup('SIGTERM')
    await daemon.exited
    await rm(directory, { recursive: true, force: true })
  }
})
