/** The whole daemon against other users of its host, web pages, and people who may change projects. */
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createClient, type SwarmClient } from '../../src/client/client.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { loadSecrets } from '../../src/config/secrets.ts'
import { type Daemon, startDaemon } from '../../src/main.ts'
import { createUnixFetch } from '../../src/platform/fetch-unix.ts'
import { createLogger } from '../../src/platform/log.ts'
import { runProcess } from '../../src/platform/process.ts'
import { startGitHttpServer } from '../support/git-http-server.ts'
import { waitForTicket } from '../support/wait-for.ts'

const NOBODY = 65_534
let directory: string
let daemon: Daemon | undefined

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'swarm-sd-'))
})
afterEach(async () => {
  await daemon?.stop({ mode: 'now' })
  daemon = undefined
  await rm(directory, { recursive: true, force: true })
})

const stateDir = () => join(directory, 'state')

async function start(config: string, environment: Record<string, string> = {}): Promise<string> {
  const configPath = join(directory, 'config.yaml')
  await writeFile(configPath, `state-dir: ${stateDir()}\n${config}`)
  const places = { home: directory, workingDirectory: directory, isRoot: false }
  const loaded = await loadConfig({ configPath, environment, places })
  const log: string[] = []
  daemon = await startDaemon({
    config: loaded.config,
    secrets: await loadSecrets(loaded.config, environment),
    logger: createLogger({ level: 'debug', destination: { write: (line) => void log.push(line) } }),
  })
  return log.join('')
}

function connect(): SwarmClient {
  return createClient({
    baseUrl: 'http://localhost',
    fetch: createUnixFetch(join(stateDir(), 'api.sock')),
  })
}

const UNIX_ONLY = 'listen: { port: null }\nsandbox: { driver: fake }\n'

describe('the state directory', () => {
  test('is made for its owner only; what lies in it cannot be entered', async () => {
    await start(UNIX_ONLY)
    expect((await stat(stateDir())).mode & 0o777).toBe(0o700)
  })

  test('in which others can write is refused at the start, and says what to do', async () => {
    await mkdir(stateDir())
    for (const mode of [0o777, 0o770, 0o722]) {
      await chmod(stateDir(), mode)
      await expect(start(UNIX_ONLY)).rejects.toMatchObject({ fix: `chmod 700 ${stateDir()}` })
    }
    expect(await readdir(stateDir())).toEqual([])
  })

  test('that others can enter is a warning', async () => {
    await mkdir(stateDir())
    await chmod(stateDir(), 0o711)
    expect(await start(UNIX_ONLY)).toContain('can be entered by others')
  })

  test('another user of the host reads nothing in it and reaches no socket', async (context) => {
    if (process.getuid?.() !== 0) context.skip('only root can become another user')
    await start(UNIX_ONLY)
    await chmod(directory, 0o755)
    const paths = ['swarm.db', 'swarm.db.lock', 'registry/agents/coder/1.0.0/agent.yaml', 'api.sock', '.']
    const script = paths.map((path) => `cat ${path}; ls ${path}; test -e ${path} && echo found`).join('; ')
    const tried = await runProcess({
      argv: [
        'setpriv',
        `--reuid=${NOBODY}`,
        `--regid=${NOBODY}`,
        '--clear-groups',
        'sh',
        '-c',
        `cd ${stateDir()}; ${script}`,
      ],
      env: { PATH: process.env.PATH ?? '' },
      cwd: directory,
      timeoutMs: 10_000,
      outputBytesMax: 100_000,
    })
    // Without the right to enter, it looks around in the folder above.
    expect(
      tried.stdout
        .toString()
        .split('\n')
        .filter((line) => line !== ''),
    ).toEqual(['config.yaml', 'state', 'found'])
  })
})

describe('listen.allowed-hosts', () => {
  const ask = (host: string, origin?: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const headers = { host, ...(origin === undefined ? {} : { origin }) }
      request(`${daemon?.apiUrl}/v1/health`, { headers, agent: false }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })

  test('the API answers under the names that are configured and under no other', async () => {
    await start('listen: { port: 0, allowed-hosts: [Swarm.Example.org] }\nsandbox: { driver: fake }\n')
    for (const host of ['swarm.example.org', 'SWARM.example.org:8443', 'localhost', '127.0.0.1:7377']) {
      expect(await ask(host), host).toBe(401)
    }
    for (const host of ['evil.example.org', 'swarm.example.org.evil.org', 'example.org']) {
      expect(await ask(host), host).toBe(421)
    }
    expect(await ask('swarm.example.org', 'https://swarm.example.org')).toBe(401)
    expect(await ask('swarm.example.org', 'https://evil.example.org')).toBe(403)
  })

  test('an address beside loopback is a warning: there is no TLS', async () => {
    expect(await start('listen: { host: 0.0.0.0, port: 0 }\nsandbox: { driver: fake }\n')).toContain(
      'without TLS',
    )
  })

  test('by default that is loopback', async () => {
    expect(await start('listen: { port: 0 }\nsandbox: { driver: fake }\n')).not.toContain('without TLS')
    expect(await ask('swarm.example.org')).toBe(421)
  })
})

describe('the credential of a forge', () => {
  test('is not sent to a host that somebody wrote into a project', async () => {
    await using server = await startGitHttpServer({ root: directory })
    await start(
      `${UNIX_ONLY}forges: { company: { kind: git, credential: { env: TOKEN }, hosts: [git.example.org] } }\n`,
      { TOKEN: 'forge-secret' },
    )
    const client = connect()
    await client.projects.create({
      key: 'WEB',
      name: 'Web',
      forge: 'company',
      repositoryUrl: `${server.url}/stolen.git`,
      defaultWorkflow: 'code-change',
    })
    const ticket = await client.tickets.create({ project: 'WEB', title: 'steal it' })
    const failed = await waitForTicket(client, ticket.key, 'failed')
    expect(failed.detail).toContain('is not for')
    expect(server.requests).toEqual([])
  })
})
