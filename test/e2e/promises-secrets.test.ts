import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ScriptedModel, startScriptedModel } from '../../src/cli/local/demo/scripted-model.ts'
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts'
import { type GitHttpServer, startGitHttpServer } from '../support/git-http-server.ts'
import { makeRemote } from '../support/git-repository.ts'
import { makeTestDirectory, writeTestConfig } from '../support/test-swarm.ts'
import { endTicket, getStep, readAttemptLog, registerSteps } from '../support/ticket-scene.ts'

const MODEL_KEY = 'planted-model-key-5d1c8e2f9a'
const FORGE_SECRET = 'planted-forge-secret-77b0e4'
const PLANTED = [MODEL_KEY, FORGE_SECRET]
/** As a forger might find it: plain, and as Basic authentication carries it. */
const FORMS = [
  ...PLANTED,
  ...PLANTED.map((secret) => Buffer.from(`swarm:${secret}`).toString('base64').slice(0, 24)),
]

let directory: string
let daemon: DaemonProcess
let model: ScriptedModel
let origin: GitHttpServer

beforeAll(async () => {
  directory = await makeTestDirectory()
  model = await startScriptedModel({
    apiKey: MODEL_KEY,
    scripts: [
      {
        needle: '',
        turns: [
          () => ({
            say: 'I write.',
            calls: [{ tool: 'write_file', input: { path: 'done.txt', content: 'ok' } }],
          }),
          // Long enough for the host to be looked over while the agent runs.
          () => ({ say: 'Now the checks.', calls: [{ tool: 'run_checks', input: {} }] }),
        ],
      },
    ],
  })
  await makeRemote(join(directory, 'remotes', 'web.git'), {
    'README.md': 'x\n',
    '.swarm/project.yaml': "checks: [[sh, -c, 'sleep 1; test -f done.txt']]\n",
  })
  origin = await startGitHttpServer({
    root: join(directory, 'remotes'),
    login: { username: 'swarm', secret: FORGE_SECRET },
  })
  const { port } = new URL(origin.url)
  await writeTestConfig(
    directory,
    `log: { level: debug }
slots: 2
poll: { interval: 200ms }
models: { default: { provider: anthropic, base-url: '${model.url}', model: scripted, key: { env: PLANTED_MODEL_KEY } } }
forges: { origin: { kind: git, username: swarm, credential: { env: PLANTED_FORGE_SECRET }, hosts: ['127.0.0.1:${port}'] } }
`,
  )
  daemon = await startDaemonProcess(directory, {
    PLANTED_MODEL_KEY: MODEL_KEY,
    PLANTED_FORGE_SECRET: FORGE_SECRET,
  })
})
afterAll(async () => {
  await daemon.kill()
  await origin[Symbol.asyncDispose]()
  await model[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

test('U15: a planted secret is found nowhere: argv, environment of the agent, logs, database, artifacts', async () => {
  const { client } = daemon
  await client.projects.create({
    key: 'SEC',
    name: 'Secrets',
    repositoryUrl: `${origin.url}/web.git`,
    forge: 'origin',
  })
  await registerSteps(
    client,
    'secret',
    [
      { id: 'code', kind: 'agent', agent: 'coder' },
      {
        id: 'spy',
        kind: 'agent',
        agent: 'script',
        needs: ['code'],
        with: { command: ['sh', '-c', SPY] },
      },
      { id: 'verify', kind: 'verify', needs: ['code'] },
      { id: 'propose', kind: 'pull-request', needs: ['verify', 'spy'] },
    ],
    { 'done-when': 'opened' },
  )
  const watch = watchProcesses()
  const { ticket, run } = await endTicket(
    client,
    { project: 'SEC', title: 'secret', workflow: 'secret' },
    60_000,
  )
  const { seen, argvOfSecrets, environmentsOfSecrets } = await watch.stop()

  // It all really happened, with both secrets in use.
  expect(ticket).toMatchObject({ status: 'done', branch: expect.stringMatching(/^swarm\/sec-/) })
  expect(model.requests.length).toBeGreaterThan(1)
  expect(model.requests.every(({ isAuthorized }) => isAuthorized)).toBe(true)
  expect(origin.requests.some((line) => line.includes('git-receive-pack'))).toBe(true)

  // While it ran: no argument of any process, no environment but the daemon's own and that of its git.
  expect(
    seen.some((line) => line.includes('main.ts')),
    'the agent was among them',
  ).toBe(true)
  expect(argvOfSecrets).toEqual([])
  expect(environmentsOfSecrets.filter((line) => !isOurs(line))).toEqual([])
  // Inside: everything that the agent could read.
  const spied = await readAttemptLog(client, run, 'spy')
  expect(spied).toContain('SWARM_RUN_TOKEN=')
  expectNone(spied, 'what the agent saw')
  expectNone(JSON.stringify(getStep(run, 'spy').outputs), 'outputs')

  // What is left: log, API, every byte on disk, what travelled.
  expectNone(daemon.log(), 'log')
  expectNone(origin.requests.join('\n'), 'URLs')
  expectNone(await readWholeApi(run.id), 'API')
  await expectNoneOnDisk(join(directory, 'state'))
  await expectNoneOnDisk(join(directory, 'remotes'))
  expect(await daemon.signal('SIGTERM')).toBe(0)
  await expectNoneOnDisk(join(directory, 'state'))
})

/** Prints all that a program inside can get at: environments, arguments, files of ours, the model route's answer. */
const SPY = `env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'
cat /swarm/prompt.md /swarm/ticket.json /swarm/attempt/* .git/config 2>/dev/null
node -e 'fetch(process.env.SWARM_GATEWAY_URL + "/model/", { headers: { "x-api-key": process.env.SWARM_RUN_TOKEN } }).then(async (r) => console.log(r.status, JSON.stringify([...r.headers]), await r.text()))'
git remote -v; git config --list; find / -xdev -name '*.db' -o -xdev -name 'config.yaml' 2>/dev/null`

function expectNone(text: string, where: string): void {
  for (const form of FORMS) expect(text.includes(form), `${form} in ${where}`).toBe(false)
}

async function expectNoneOnDisk(root: string): Promise<void> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  let fileCount = 0
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    for (const form of FORMS) expect(path.includes(form)).toBe(false)
    if (!entry.isFile()) continue
    const bytes = await readFile(path).catch(() => Buffer.alloc(0))
    fileCount++
    for (const form of FORMS) expect(bytes.includes(form), `${form} in ${path}`).toBe(false)
  }
  expect(fileCount).toBeGreaterThan(0)
}

/** Every list and every detail that the API gives about what happened. */
async function readWholeApi(runId: string): Promise<string> {
  const { client } = daemon
  const answers = await Promise.all([
    client.events.list({ limit: 1000 }),
    client.tickets.list(),
    client.runs.list(),
    client.runs.get(runId),
    client.projects.list(),
    client.pullRequests.list(),
    client.agents.list(),
    client.workflows.list(),
    client.tokens.list(),
    client.health.get(),
    client.health.metrics(),
  ])
  return JSON.stringify(answers)
}

/** The daemon was given the secrets in its environment; its short-lived git children need the forge's. */
function isOurs(line: string): boolean {
  return /\/bin\/swarm\.cjs --config \S+ up\b/.test(line) || /^\d+ (git|\/usr\/lib\/git-core\/)/.test(line)
}

/** Looks at every process of the host, over and over, until told to stop. */
function watchProcesses() {
  let isStopped = false
  const seen = new Set<string>()
  const argvOfSecrets = new Set<string>()
  const environmentsOfSecrets = new Set<string>()
  const look = async () => {
    while (!isStopped) {
      for (const name of await readdir('/proc')) {
        if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
        const line = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')
        const environment = await readFile(`/proc/${name}/environ`, 'utf8').catch(() => '')
        seen.add(line)
        if (FORMS.some((form) => line.includes(form))) argvOfSecrets.add(`${name} ${line}`)
        if (FORMS.some((form) => environment.includes(form))) environmentsOfSecrets.add(`${name} ${line}`)
      }
      await delay(5)
    }
  }
  const looking = look()
  return {
    async stop() {
      isStopped = true
      await looking
      return {
        seen: [...seen],
        argvOfSecrets: [...argvOfSecrets],
        environmentsOfSecrets: [...environmentsOfSecrets],
      }
    },
  }
}

test('U15: the state directory is the owner’s alone', async () => {
  const { mode } = await stat(join(directory, 'state', 'swarm.db'))
  expect(mode & 0o077).toBe(0)
})
