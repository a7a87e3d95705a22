import { execFile, spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { readProcessStartTime } from '../../src/platform/process-identity.ts'
import { COUNTER, writeFiles, writeForeignRegistry } from '../support/foreign-registry.ts'
import { makeDirectory, PROGRAM, runCli } from './cli-process.ts'

const AGENT = {
  name: 'Word Counter',
  version: '1.0',
  path: 'agents/counter',
  description: 'Counts',
  runtime: 'python3',
}

/** The files that the guide speaks of, as a reader would have them. */
async function writeRegistries(home: string): Promise<void> {
  await writeFiles(join(home, 'agents/counter'), COUNTER)
  const steps = JSON.stringify([{ name: 'count', agent: 'Word Counter' }])
  await writeForeignRegistry(join(home, 'registry.db'), {
    agents: [AGENT],
    workflows: [{ name: 'Count Words', version: 1, steps }],
  })
  await writeForeignRegistry(join(home, 'fleet.db'), {
    schema: `create table bots (title text, location text);
      insert into bots values ('fleet-counter', 'agents/counter');`,
  })
  await writeForeignRegistry(join(home, 'clash.db'), {
    agents: [AGENT, { ...AGENT, name: 'Word_Counter' }, { ...AGENT, name: 'coder' }],
    workflows: [],
  })
  const timed = JSON.stringify([{ id: 'count', agent: 'word-counter', timeout: 30 }])
  await writeForeignRegistry(join(home, 'timed.db'), {
    workflows: [{ name: 'timed', version: 1, steps: timed }],
  })
}

test('the commands of the guide to importing a registry work as they stand', async () => {
  const home = await makeDirectory()
  const config = join(home, 'config.yaml')
  await writeFile(config, `state-dir: ${home}/state\nlisten: { port: null }\nsandbox: { driver: fake }\n`)
  await writeFiles(join(home, 'bin'), {
    swarm: `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`,
  })
  await chmod(join(home, 'bin/swarm'), 0o755)
  await writeRegistries(home)
  const env = { HOME: home, SWARM_CONFIG: config, PATH: `${join(home, 'bin')}:${process.env.PATH}` }
  expect(await runCli(['up', '--detach'], { env })).toMatchObject({ code: 0 })
  onTestFinished(async () => void (await runCli(['down', '--now'], { env })))

  const text = await readFile(new URL('../../docs/guides/import-registry.md', import.meta.url), 'utf8')
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1])
  expect(blocks.length).toBeGreaterThan(3)
  const { stdout, stderr } = await promisify(execFile)(
    'bash',
    ['--norc', '-euo', 'pipefail', '-c', blocks.join('\n')],
    { cwd: home, env, timeout: 100_000 },
  )
  expect(stdout).toContain('changed    agent     word-counter@1.0.0')
  expect(stdout).toContain('unchanged  workflow  count-words@1')
  expect(stdout).toContain('name: "Word_Counter" is now counter-of-words')
  expect(stdout).toContain('their-coder@1.0.0')
  expect(stdout).toContain('timed@1')
  expect(stderr).toContain('nothing was registered: this was a dry run')
}, 120_000)

test('the exit code says whether something was refused, and a mistake in an option is said before anything is read', async () => {
  const home = await makeDirectory()
  await writeRegistries(home)
  const run = (...args: string[]) =>
    runCli(['registry', 'import', ...args, '--dry-run', '--state-dir', join(home, 'state')], { cwd: home })
  const refused = await run('timed.db', '--only', 'workflows', '--json')
  expect(refused.code).toBe(1)
  expect(JSON.parse(refused.stdout)).toMatchObject({
    isDryRun: true,
    counts: { taken: 0, refused: 1 },
    items: [{ kind: 'workflow', outcome: 'refused', problems: [expect.stringContaining('--duration-unit')] }],
  })
  expect(await run('none.db')).toMatchObject({ code: 3, stdout: '' })
  expect(await run('fleet.db')).toMatchObject({ code: 2, stderr: expect.stringContaining('--agents-table') })
  for (const option of [
    ['--column', 'agents.size=x'],
    ['--column', 'path'],
    ['--value', 'bots.path=x'],
    ['--rename', 'agents.x=Not Ours'],
    ['--only', 'songs'],
    ['--duration-unit', 'weeks'],
  ]) {
    expect(await run('registry.db', ...option), option.join(' ')).toMatchObject({ code: 2, stdout: '' })
  }
  const help = await runCli(['registry', 'import', '--help'])
  expect(help).toMatchObject({ code: 0, stderr: '' })
  expect(help.stdout).toContain('swarm registry import registry.db --dry-run')
}, 120_000)

test('what an import left that was killed is removed by the next one, what one at work needs is not', async () => {
  const home = await makeDirectory()
  const state = join(home, 'state')
  await writeRegistries(home)
  const gone = spawnSync(process.execPath, ['--version']).pid
  const startTime = await readProcessStartTime(process.pid)
  const kept = [`import-${process.pid}-${startTime}-abcdef`, 'import-notes', 'swarm.db']
  await writeFiles(state, { [`import-${gone}-1-abcdef/.new-1/main.py`]: 'x' })
  await writeFiles(state, { [`import-${process.pid}-1-abcdef/main.py`]: 'of another process of this number' })
  await writeFiles(state, Object.fromEntries(kept.map((name) => [`${name}/x`, 'x'])))
  const env = { HOME: home, TMPDIR: state }
  expect(await runCli(['registry', 'import', 'registry.db', '--dry-run'], { cwd: home, env })).toMatchObject({
    code: 0,
  })
  expect((await readdir(state)).sort()).toEqual(kept.sort())
})

test('a full disk is said as such, and not of the agent whose copy was written', async ({ skip }) => {
  const home = await makeDirectory()
  const full = join(home, 'full')
  await mkdir(full)
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', full]).status !== 0) {
    skip('mounts a small file system: only as root')
  }
  onTestFinished(() => void spawnSync('umount', [full]))
  await writeRegistries(home)
  await writeFiles(join(home, 'agents/counter'), { 'data.txt': 'x'.repeat(100_000) })
  const env = { HOME: home, TMPDIR: full }
  const failed = await runCli(['registry', 'import', 'registry.db', '--dry-run'], { cwd: home, env })
  expect(failed).toMatchObject({ code: 1, stdout: '' })
  expect(failed.stderr).toContain('no space left on device')
  expect(await readdir(full)).toEqual([])
})
