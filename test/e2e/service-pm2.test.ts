import { execFile } from 'node:child_process'
import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { createClient, type SwarmClient } from '../../src/client/client.ts'
import { createUnixFetch } from '../../src/platform/fetch-unix.ts'
import { signalProcess } from '../../src/platform/process.ts'
import { findPidsByMarker, listChildPids } from '../../src/platform/process-identity.ts'
import { runSwarm, SWARM } from '../support/daemon-process.ts'
import { readGuideExamples } from '../support/guide-examples.ts'
import { installPm2, PM2_PROGRAM, type Pm2, startPm2 } from '../support/pm2.ts'
import { createTestRepository } from '../support/test-repository.ts'
import { makeTestDirectory, writeTestConfig } from '../support/test-swarm.ts'
import { waitFor, waitForTicket } from '../support/wait-for.ts'

/** Names the program in the list of processes */
const MARKER = `until-told-${process.pid}`
/** Prints a line every 50 ms until it is told to end. */
const PROGRAM = `
const fs = require('node:fs')
fs.appendFileSync('/workspace/ran.txt', '${MARKER}')
let line = 0
const timer = setInterval(() => console.log('line ' + ++line), 50)
process.on('SIGUSR2', () => {
  clearInterval(timer)
  console.log('end after ' + line)
})
`
const WORKFLOW = `name: long
version: 1
done-when: opened
steps:
  - id: work
    kind: agent
    agent: script
    with:
      command: [node, -e, ${JSON.stringify(PROGRAM)}]
  - id: propose
    kind: pull-request
    needs: [work]
`
const WATCH_MS = 25

let directory: string
let stateDir: string
let pm2: Pm2
let client: SwarmClient
let absence: string | undefined

beforeAll(async () => {
  absence = await installPm2()
  directory = await makeTestDirectory()
  stateDir = join(directory, 'state')
  pm2 = startPm2(join(directory, 'pm2'))
  client = createClient({ baseUrl: 'http://localhost', fetch: createUnixFetch(join(stateDir, 'api.sock')) })
})

afterAll(async () => {
  if (absence === undefined) await pm2[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

const swarm = (...args: string[]) => runSwarm(['--config', join(directory, 'config.yaml'), ...args])
const place = () => ['--manager', 'pm2', '--output', directory]

/** Daemons of this state directory, by the variables that PM2 gave them. */
async function listDaemons(): Promise<readonly number[]> {
  const look = () => findPidsByMarker(`pm_cwd=${stateDir}\0`, 'environ')
  const pids = await look()
  if (pids.length < 2) return pids
  // What a daemon starts looks like the daemon itself for the moment before it becomes another program.
  const children = (await Promise.all(pids.map(listChildPids))).flat()
  const still = await look()
  return pids.filter((pid) => still.includes(pid) && !children.includes(pid))
}

async function waitForNewDaemon(before: number): Promise<number> {
  return await waitFor('another daemon answers', async () => {
    const app = await pm2.findApp('swarm')
    if (app?.status !== 'online' || app.pid === before) return undefined
    return (await client.health.get()).isReady ? app.pid : undefined
  })
}

/** Looks all the time, so that what is there for a moment only is seen too. */
function watchDaemons(): () => Promise<number> {
  let countMax = 0
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      countMax = Math.max(countMax, (await listDaemons()).length)
      await new Promise((resolve) => setTimeout(resolve, WATCH_MS))
    }
  })()
  return async () => {
    isOver = true
    await watching
    return countMax
  }
}

test('U16: PM2, which loads with require, starts the daemon; it is online when the sockets answer', async ({
  skip,
}) => {
  if (absence !== undefined) skip(absence)
  await writeTestConfig(directory, 'slots: 1\nlog: { level: info }\nsandbox: { warm: 0 }\n')
  expect(await swarm('service', 'install', ...place())).toMatchObject({ code: EXIT.ok })
  await pm2.run('start', join(directory, 'ecosystem.config.cjs'))
  const health = await client.health.get()
  expect(health).toMatchObject({ isLive: true, isReady: true })
  const app = await pm2.findApp('swarm')
  expect(app).toMatchObject({ status: 'online', restartCount: 0 })
  expect(await listDaemons()).toEqual([app?.pid])
  expect(await swarm('service', 'status', ...place())).toMatchObject({ code: EXIT.ok })
  const log = (await readFile(join(stateDir, 'daemon.log'), 'utf8')).split('\n')
  const lines = log.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
  expect(lines.map(({ msg }) => msg)).toContain('swarm is up')
  expect(log.join('')).not.toContain('\x1b')
})

test('P4: reloaded, restarted and killed under PM2 there are never two daemons, and the sandbox is adopted each time', async ({
  skip,
}) => {
  if (absence !== undefined) skip(absence)
  const repository = await createTestRepository(directory, { 'README.md': '# Long\n' })
  await client.projects.create({ key: 'PM', name: 'PM', repositoryUrl: repository.path, forge: 'local' })
  await client.workflows.register({ text: WORKFLOW })
  const { key } = await client.tickets.create({ project: 'PM', title: 'survive', workflow: 'long' })
  const runId = await waitFor('the sandbox works', async () => {
    const { currentRunId } = await client.tickets.get(key)
    if (currentRunId === null) return undefined
    return (await readLog(currentRunId)).includes('line 5\n') ? currentRunId : undefined
  })
  const stopWatching = watchDaemons()
  let pid = (await pm2.findApp('swarm'))?.pid ?? 0
  await pm2.run('reload', 'swarm')
  pid = await waitForNewDaemon(pid)
  await pm2.run('restart', 'swarm')
  pid = await waitForNewDaemon(pid)
  expect(signalProcess(pid, 'SIGKILL')).toBe(true)
  await waitForNewDaemon(pid)
  // Beside the daemon of PM2 there is no place for one that a person starts.
  expect(await swarm('up')).toMatchObject({ code: EXIT.conflict })
  expect(await stopWatching()).toBe(1)

  expect((await client.tickets.get(key)).status).toBe('running')
  for (const program of await findPidsByMarker(MARKER, 'cmdline')) signalProcess(program, 'SIGUSR2')
  const ticket = await waitForTicket(client, key, 'done')
  const run = await client.runs.get(ticket.currentRunId ?? '')
  expect(run.id).toBe(runId)
  const work = run.steps.find((step) => step.key === 'work')
  expect(work?.attempts.map(({ number, status }) => ({ number, status }))).toEqual([
    { number: 1, status: 'succeeded' },
  ])
  expect(run.sandboxes).toHaveLength(1)
  const lines = (await readLog(runId)).split('\n').filter((line) => /^(line|end) /.test(line))
  const numbers = Array.from({ length: lines.length - 1 }, (_, index) => `line ${index + 1}`)
  expect(lines).toEqual([...numbers, `end after ${numbers.length}`])
  const log = await readFile(join(stateDir, 'daemon.log'), 'utf8')
  expect(log.match(/"sandbox adopted"/g)).toHaveLength(3)
})

test('P3, P2: stopped by PM2 it leaves no process and no sandbox behind, and PM2 does not start it again', async ({
  skip,
}) => {
  if (absence !== undefined) skip(absence)
  await pm2.run('stop', 'swarm')
  expect(await pm2.findApp('swarm')).toMatchObject({ status: 'stopped', exitCode: 0 })
  expect(await listDaemons()).toEqual([])
  expect(await findPidsByMarker(stateDir, 'cmdline')).toEqual([])
  expect(await readdir(join(stateDir, 'sandboxes'))).toEqual([])
  expect(await readdir(stateDir)).not.toContain('daemon.json')
  expect((await swarm('service', 'status', ...place())).code).toBe(EXIT.failed)
})

test('a wrong configuration is not tried again and again', async ({ skip }) => {
  if (absence !== undefined) skip(absence)
  const path = join(directory, 'config.yaml')
  const text = await readFile(path, 'utf8')
  await appendFile(path, 'nonsense: 1\n')
  await pm2.run('start', 'swarm')
  await waitFor('it ended', async () =>
    (await pm2.findApp('swarm'))?.status === 'stopped' ? true : undefined,
  )
  expect(await pm2.findApp('swarm')).toMatchObject({ exitCode: EXIT.usage, restartCount: 3 })
  await writeFile(path, text)
  expect(await swarm('service', 'uninstall', ...place())).toMatchObject({ code: EXIT.ok })
  expect(await readdir(directory)).not.toContain('ecosystem.config.cjs')
})

test('the commands of the guide for PM2 work as they stand', async ({ skip }) => {
  if (absence !== undefined) skip(absence)
  const home = join(directory, 'guide')
  const programs = join(home, 'bin')
  await mkdir(programs, { recursive: true })
  for (const [name, path] of [
    ['swarm', SWARM],
    ['pm2', PM2_PROGRAM],
  ] as const) {
    await writeFile(join(programs, name), `#!/bin/sh\nexec '${process.execPath}' '${path}' "$@"\n`, {
      mode: 0o755,
    })
  }
  const guide = startPm2(join(home, 'pm2'))
  const stateDirOfGuide = join(home, 'state')
  try {
    const script = await readGuideExamples('service.md', 'PM2')
    const { stdout } = await promisify(execFile)('bash', ['--norc', '-euxo', 'pipefail', '-c', script], {
      cwd: home,
      env: {
        PATH: `${programs}:${process.env.PATH}`,
        HOME: home,
        PM2_HOME: join(home, 'pm2'),
        SWARM_CONFIG: join(home, 'swarm/config.yaml'),
        SWARM_STATE_DIR: stateDirOfGuide,
        SWARM_LISTEN_PORT: '0',
      },
      timeout: 60_000,
    })
    expect(stdout).toContain('all well under pm2')
    expect(stdout).toContain(`removed ${home}/swarm/ecosystem.config.cjs`)
    expect(await findPidsByMarker(`pm_cwd=${stateDirOfGuide}\0`, 'environ')).toEqual([])
  } finally {
    await guide[Symbol.asyncDispose]()
  }
})

async function readLog(runId: string): Promise<string> {
  return await new Response(await client.runs.readLog({ runId, stepKey: 'work', attempt: 1 })).text()
}
