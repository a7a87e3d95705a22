import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { EXIT, EXIT_MEANINGS } from '../../src/cli/exit-codes.ts'
import { makeDirectory, PROGRAM, runCli } from './cli-process.ts'

test('an old Node is told in one line what to do, with exit code 78', async () => {
  const pretend = `Object.defineProperty(process.versions, 'node', { value: '18.20.1' }); require(${JSON.stringify(PROGRAM)})`
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', pretend], { encoding: 'utf8' })
  expect(status).toBe(EXIT.badNode)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^swarm needs Node\.js 22\.18 or newer.*npx -p node@24.*\n$/)
  const code = (await readFile(PROGRAM, 'utf8')).replace(/^\s*(\/\/|#).*$/gm, '')
  expect(code).not.toMatch(/\b(const|let|class|async)\b|=>|\?\./)
})

test('a mistyped command is refused with the nearest one and exit code 2', async () => {
  const wrong = await runCli(['tikcet', 'list'])
  expect(wrong).toMatchObject({ code: EXIT.usage, stdout: '' })
  expect(wrong.stderr).toContain("unknown command 'tikcet'")
  expect(wrong.stderr).toContain('Did you mean ticket?')
  const verb = await runCli(['ticket', 'craete'])
  expect(verb).toMatchObject({ code: EXIT.usage })
  expect(verb.stderr).toContain('Did you mean create?')
  const option = await runCli(['ticket', 'list', '--statsu', 'x'])
  expect(option).toMatchObject({ code: EXIT.usage })
  expect(option.stderr).toContain('Did you mean --status?')
})

test('a command without its argument is refused with exit code 2', async () => {
  expect(await runCli(['ticket', 'show'])).toMatchObject({ code: EXIT.usage, stdout: '' })
  expect(await runCli(['ticket'])).toMatchObject({ code: EXIT.usage, stdout: '' })
  expect(await runCli(['ticket', 'list', '--timeout', 'soon'])).toMatchObject({ code: EXIT.usage })
})

test('a mistake in the command is an error like any other: with a hint, and as JSON where that was asked for', async () => {
  const wrong = await runCli(['tracker', 'check'])
  expect(wrong.stderr).toBe("error: missing required argument 'name'\nhint: swarm tracker check --help\n")
  const { code, stdout, stderr } = await runCli(['ticket', 'claim', '--json'])
  expect({ code, stdout }).toEqual({ code: EXIT.usage, stdout: '' })
  expect(JSON.parse(stderr)).toEqual({
    error: {
      code: 'usage',
      message: "required option '--holder <name>' not specified",
      hint: 'swarm ticket claim --help',
      exitCode: EXIT.usage,
    },
  })
})

test('`swarm help exit-codes` lists every exit code', async () => {
  const { code, stdout } = await runCli(['help', 'exit-codes'])
  expect(code).toBe(EXIT.ok)
  for (const [name, number] of Object.entries(EXIT)) {
    expect(stdout).toContain(`${String(number).padStart(3)}  ${EXIT_MEANINGS[name as keyof typeof EXIT]}`)
  }
})

test('help goes to standard output, for a command too', async () => {
  const all = await runCli(['--help'])
  expect(all).toMatchObject({ code: 0, stderr: '' })
  expect(all.stdout).toContain('run-ticket')
  const one = await runCli(['help', 'ticket', 'create'])
  expect(one).toMatchObject({ code: 0, stderr: '' })
  expect(one.stdout).toContain('--depends-on')
  expect((await runCli(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test('without a daemon the exit code is 7, the socket is named and the next command said', async () => {
  const stateDir = await makeDirectory()
  const people = await runCli(['ticket', 'list', '--state-dir', stateDir])
  expect(people).toMatchObject({ code: EXIT.unreachable, stdout: '' })
  expect(people.stderr).toContain(`no daemon answers at ${stateDir}/api.sock`)
  expect(people.stderr).toContain('swarm up --detach')
  const programs = await runCli(['--json', 'ticket', 'list', '--state-dir', stateDir])
  expect(programs).toMatchObject({ code: EXIT.unreachable, stdout: '' })
  expect(JSON.parse(programs.stderr)).toMatchObject({ error: { code: 'unreachable', exitCode: 7 } })
  const address = await runCli(['status', '--url', 'http://127.0.0.1:9'])
  expect(address).toMatchObject({ code: EXIT.unreachable })
})

test('colour is off in a pipe and with NO_COLOR, on with FORCE_COLOR', async () => {
  const stateDir = await makeDirectory()
  const args = ['status', '--state-dir', stateDir]
  expect((await runCli(args)).stderr).not.toContain('\u001b[')
  expect((await runCli(args, { env: { FORCE_COLOR: '1' } })).stderr).toContain('\u001b[31merror:')
  expect((await runCli(args, { env: { FORCE_COLOR: '1', NO_COLOR: '1' } })).stderr).not.toContain('\u001b[')
})

test('a token file that others can read is refused', async () => {
  const directory = await makeDirectory()
  const path = join(directory, 'token')
  await writeFile(path, 'secret-words\n')
  await chmod(path, 0o644)
  const refused = await runCli(['status', '--url', 'http://127.0.0.1:9', '--token-file', path])
  expect(refused).toMatchObject({ code: EXIT.auth })
  expect(refused.stderr).toContain(`chmod 600 ${path}`)
  expect(refused.stderr).not.toContain('secret-words')
  await chmod(path, 0o600)
  expect(await runCli(['status', '--url', 'http://127.0.0.1:9', '--token-file', path])).toMatchObject({
    code: 7,
  })
})

test('an address with a password in it is refused and not repeated', async () => {
  const refused = await runCli(['status', '--url', 'http://me:hunter2@127.0.0.1:9'])
  expect(refused).toMatchObject({ code: EXIT.usage })
  expect(refused.stderr).not.toContain('hunter2')
})

test('U22: `swarm config explain` prints each value and where it came from; an unknown key is an error with its line', async () => {
  const home = await makeDirectory()
  const path = join(home, 'my.yaml')
  await writeFile(path, 'state-dir: state\nslots: 3\n')
  const env = { HOME: home, SWARM_CONFIG: path, SWARM_LOG_LEVEL: 'debug' }
  const text = await runCli(['config', 'explain'], { env })
  expect(text.code).toBe(0)
  expect(text.stdout).toMatch(new RegExp(`^state-dir +${home}/state +${path}:1:12$`, 'm'))
  expect(text.stdout).toMatch(new RegExp(`^slots +3 +${path}:2:8$`, 'm'))
  expect(text.stdout).toMatch(/^log\.level +debug +environment SWARM_LOG_LEVEL$/m)
  expect(text.stdout).toMatch(/^listen\.port +7377 +default$/m)
  const json = JSON.parse(
    (await runCli(['config', 'explain', '--json', '--state-dir', '/s'], { env })).stdout,
  )
  expect(json.file).toBe(path)
  expect(json.settings).toContainEqual({ setting: 'state-dir', value: '/s', origin: 'flag --state-dir' })

  await writeFile(path, 'slots: 3\nsandbox:\n  memory_mb: 4\n  drvier: none\n')
  const refused = await runCli(['config', 'explain'], { env })
  expect(refused).toMatchObject({ code: EXIT.usage, stdout: '' })
  expect(refused.stderr).toContain(`${path}:3:3: unknown key "memory_mb" in sandbox`)
  expect(refused.stderr).toContain(`${path}:4:3: unknown key "drvier" in sandbox; did you mean "driver"?`)
})

test('a mistyped SWARM_ variable is a warning beside the data', async () => {
  const { stderr, code } = await runCli(['config', 'explain'], { env: { SWARM_SLOT: '4' } })
  expect(code).toBe(0)
  expect(stderr).toContain('SWARM_SLOT means nothing here: did you mean SWARM_SLOTS?')
})

test('`swarm init` writes a configuration that is valid and says the defaults, and keeps one that is there', async () => {
  const home = await makeDirectory()
  const args = ['--config', join(home, 'etc/config.yaml'), '--state-dir', join(home, 'state')]
  const first = await runCli(['init', '--json', ...args], { env: { HOME: home } })
  expect(first.code).toBe(0)
  expect(JSON.parse(first.stdout)).toMatchObject({ isWritten: true, stateDir: join(home, 'state') })
  expect((await stat(join(home, 'etc/config.yaml'))).mode & 0o777).toBe(0o600)
  expect((await stat(join(home, 'state'))).mode & 0o022).toBe(0)

  const written = await readFile(join(home, 'etc/config.yaml'), 'utf8')
  const plain = await runCli(['config', 'explain', '--json', '--config', join(home, 'etc/config.yaml')])
  await writeFile(join(home, 'etc/all.yaml'), uncomment(written))
  const all = await runCli(['config', 'explain', '--json', '--config', join(home, 'etc/all.yaml')])
  expect(all.stderr).toBe('')
  expect(toValues(all.stdout)).toEqual(toValues(plain.stdout))
  expect(JSON.parse(all.stdout).settings.filter((row: Row) => row.origin === 'default')).toEqual([])

  await writeFile(join(home, 'etc/config.yaml'), 'slots: 5\n')
  const second = await runCli(['init', '--json', ...args], { env: { HOME: home } })
  expect(JSON.parse(second.stdout)).toMatchObject({ isWritten: false })
  expect(await readFile(join(home, 'etc/config.yaml'), 'utf8')).toBe('slots: 5\n')
})

type Row = { setting: string; value: unknown; origin: string }

/** The defaults that stand as comments; prose and the example rule are left out. */
function uncomment(text: string): string {
  return text
    .replaceAll(/^(# (?:routes: \[\]|trackers: \{\})\n)(?:# {3}.*\n)+/gm, '$1')
    .split('\n')
    .map((line) =>
      /^# (( {2})*[a-z-]+:)(?! [a-z]+[,;] )/.test(line) && !/\. /.test(line) ? line.slice(2) : line,
    )
    .join('\n')
}

function toValues(stdout: string): Record<string, unknown> {
  return Object.fromEntries(JSON.parse(stdout).settings.map(({ setting, value }: Row) => [setting, value]))
}

test('`swarm doctor` names what is wrong, its fix, and no key', async () => {
  const home = await makeDirectory()
  await mkdir(join(home, 'state'))
  await chmod(join(home, 'state'), 0o777)
  await writeFile(join(home, 'state/swarm.db'), 'not a database, but long enough to have a header '.repeat(4))
  const env = {
    HOME: home,
    SWARM_STATE_DIR: join(home, 'state'),
    ANTHROPIC_API_KEY: 'sk-hunter2',
    SWARM_SANDBOX_DRIVER: 'none',
  }
  const { code, stdout, stderr } = await runCli(['doctor', '--json'], { env })
  expect(code).toBe(EXIT.failed)
  const checks = JSON.parse(stdout).checks as {
    name: string
    state: string
    detail: string
    fix: string | null
  }[]
  const byName = Object.fromEntries(checks.map((check) => [check.name, check]))
  expect(byName['state directory']).toMatchObject({ state: 'fail', fix: `chmod 700 ${join(home, 'state')}` })
  expect(byName.store).toMatchObject({
    state: 'fail',
    detail: `${join(home, 'state/swarm.db')} is no SQLite database`,
  })
  expect(byName.sandbox).toMatchObject({ state: 'warn' })
  expect(byName['models.default.key']).toMatchObject({ state: 'ok' })
  expect(byName.node).toMatchObject({ state: 'ok' })
  expect(stdout + stderr).not.toContain('hunter2')
})

test('completion is a script that bash reads, with every command in it', async () => {
  const { code, stdout } = await runCli(['completion', 'bash'])
  expect(code).toBe(0)
  const asked = `${stdout}\nCOMP_WORDS=(swarm ticket cr); COMP_CWORD=2; _swarm; echo "got:\${COMPREPLY[*]}"`
  const result = spawnSync('bash', ['-c', asked], { encoding: 'utf8' })
  expect(result.stderr).toBe('')
  expect(result.stdout).toContain('got:create')
  expect((await runCli(['completion', 'tcsh'])).code).toBe(EXIT.usage)
})

test('`swarm workflow validate` needs no daemon, and says line and column', async () => {
  const home = await makeDirectory()
  await writeFile(join(home, 'bad.yaml'), 'name: x\nversion: 1\nsteps:\n  - id: a\n    kind: nothing\n')
  const bad = await runCli(['workflow', 'validate', 'bad.yaml', '--state-dir', home], { cwd: home })
  expect(bad.code).toBe(EXIT.failed)
  expect(bad.stdout).toMatch(/^bad\.yaml:5:\d+: /m)
})
