import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { findProcessIdentity } from '../../src/platform/process-identity.ts'
import { makeDirectory, runCli } from './cli-process.ts'

/** A configuration that needs nothing of the host: sandboxes are the product's fake. */
async function prepare() {
  const home = await makeDirectory()
  const config = join(home, 'config.yaml')
  await writeFile(config, `state-dir: ${home}/state\nlisten: { port: 0 }\nsandbox: { driver: fake }\n`)
  const env = { HOME: home, SWARM_CONFIG: config, ANTHROPIC_API_KEY: 'sk-hunter2' }
  const swarm = (...args: string[]) => runCli(args, { env })
  return { home, env, swarm, stateDir: join(home, 'state') }
}

test('`swarm up --detach` returns when it answers, a second one is refused with 5, `swarm down` ends it', async () => {
  const { swarm, stateDir } = await prepare()
  const up = await swarm('up', '--detach', '--json')
  onTestFinished(async () => void (await swarm('down', '--now')))
  expect(up).toMatchObject({ code: 0 })
  const { pid, apiSocketPath, apiUrl } = JSON.parse(up.stdout)
  expect(apiSocketPath).toBe(join(stateDir, 'api.sock'))
  expect((await stat(apiSocketPath)).mode & 0o777).toBe(0o600)

  expect(await swarm('status', '-q')).toMatchObject({
    stdout: expect.stringMatching(/^(ok|degraded|failing)\n$/),
  })
  const overTcp = await runCli(['status', '--url', apiUrl])
  expect(overTcp).toMatchObject({ code: EXIT.auth, stdout: '' })
  const second = await swarm('up', '--detach')
  expect(second).toMatchObject({ code: EXIT.conflict, stdout: '' })
  expect(second.stderr).toContain(`process ${pid}`)

  expect(await swarm('down')).toMatchObject({ code: 0, stdout: 'swarm is down\n' })
  expect(await findProcessIdentity(pid)).toBeUndefined()
  expect(await swarm('status')).toMatchObject({ code: EXIT.unreachable })
  expect(await swarm('down')).toMatchObject({ code: 0, stdout: '' })
  const log = await readFile(join(stateDir, 'daemon.log'), 'utf8')
  expect(log).toContain('swarm is up')
  expect(log).not.toContain('hunter2')
})

test('in the foreground one SIGTERM drains it and it exits with 0', async () => {
  const { env } = await prepare()
  let isTold = false
  const { code, stdout, stderr } = await runCli(['up', '--json'], {
    env,
    onOutput: (child, said) => {
      if (isTold || !said.includes('\n')) return
      isTold = true
      child.kill('SIGTERM')
    },
  })
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toHaveProperty('apiSocketPath')
  expect(stderr).toContain('claims no more')
})

test('a daemon that cannot start says why, at once and in the background', async () => {
  const { swarm, stateDir } = await prepare()
  await mkdir(stateDir)
  await writeFile(join(stateDir, 'swarm.db'), 'another program keeps its notes here '.repeat(20))
  const foreground = await swarm('up')
  expect(foreground).toMatchObject({ code: EXIT.failed, stdout: '' })
  expect(foreground.stderr).toContain('the daemon could not start')
  expect(foreground.stderr).toContain('swarm.db')
  const detached = await swarm('up', '--detach')
  expect(detached).toMatchObject({ code: EXIT.failed, stdout: '' })
  expect(detached.stderr).toContain('the daemon could not start')
  expect(await readFile(join(stateDir, 'swarm.db'), 'utf8')).toContain('another program')
})

test('a port that is taken is said, with the flag that helps', async () => {
  const { swarm } = await prepare()
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void other.close())
  const { port } = other.address() as { port: number }
  const refused = await swarm('up', '--port', String(port))
  expect(refused).toMatchObject({ code: EXIT.failed, stdout: '' })
  expect(refused.stderr).toContain('--port 0')
})

test('running without isolation is said loudly', async () => {
  const { env } = await prepare()
  let isTold = false
  const { stderr } = await runCli(['up', '--json'], {
    env: { ...env, SWARM_SANDBOX_DRIVER: 'none' },
    onOutput: (child, said) => {
      if (isTold || !said.includes('\n')) return
      isTold = true
      child.kill('SIGTERM')
    },
  })
  expect(stderr).toContain('WARNING: sandbox.driver is none')
})
