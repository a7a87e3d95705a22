/** Retention and its figures through the whole daemon, also after a crash. */
import { readdir, readFile, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { runCli } from '../integration/cli-process.ts'
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts'
import { makeTestDirectory, startTestSwarm, writeTestConfig } from '../support/test-swarm.ts'
import { endTicket, listProcessesWith, registerSteps, waitForTicketEnd } from '../support/ticket-scene.ts'
import { waitFor } from '../support/wait-for.ts'

const STEPS = [{ id: 'work', kind: 'run', command: ['sh', '-c', 'echo hello; sleep 0.2'] }]
const DAY_S = 24 * 60 * 60

let crashed: { daemon: DaemonProcess; directory: string } | undefined
afterEach(async () => {
  await crashed?.daemon.kill()
  if (crashed !== undefined) await rm(crashed.directory, { recursive: true, force: true })
  crashed = undefined
})

const list = async (...path: readonly string[]) => await readdir(join(...path)).catch(() => [])

test('P2: gc removes what ended before its time and nothing else, and says so; agent packages stay', async () => {
  await using swarm = await startTestSwarm({
    config: 'sandbox: { warm: 0 }\nretention: { logs: 1ms, runs: 1ms }\n',
  })
  const { client, directory } = swarm
  const state = join(directory, 'state')
  await client.projects.create({ key: 'WEB', name: 'web' })
  await registerSteps(client, 'one', STEPS)
  await registerSteps(client, 'ask', [
    ...STEPS,
    { id: 'yes', kind: 'approve', needs: ['work'], prompt: 'ok?' },
  ])
  const { run } = await endTicket(client, { project: 'WEB', title: 'x', workflow: 'one' })
  const { key } = await client.tickets.create({ project: 'WEB', title: 'y', workflow: 'ask' })
  const open = await waitFor('the approval', async () => {
    const ticket = await client.tickets.get(key)
    return ticket.status === 'waiting' ? ticket : undefined
  })
  const agents = join(state, 'registry', 'agents')
  const versions = (await readdir(agents, { recursive: true })).filter((path) => path.split('/').length === 2)
  expect(versions.length).toBeGreaterThan(2)
  const longAgo = Date.now() / 1000 - 3 * DAY_S
  for (const path of [...versions, '']) await utimes(join(agents, path), longAgo, longAgo)

  const gc = async (...options: readonly string[]) =>
    await runCli(['--state-dir', state, 'gc', '--json', ...options])
  const said = await gc('--dry-run')
  expect(said.code, said.stderr).toBe(0)
  const expected = { runCount: 1, logs: { runCount: 1 }, packageCount: 0, eventCount: 0, problems: [] }
  expect(JSON.parse(said.stdout)).toMatchObject({ isDryRun: true, ...expected })
  expect((await list(state, 'logs')).sort()).toEqual([open.currentRunId, run.id].sort())
  expect(JSON.parse((await gc()).stdout)).toMatchObject({ isDryRun: false, ...expected })
  expect(await list(state, 'logs')).toEqual([open.currentRunId])
  expect((await client.runs.get(run.id)).steps).toEqual([])
  expect((await client.runs.get(open.currentRunId ?? '')).steps.length).toBe(2)
  expect((await readdir(agents, { recursive: true })).filter((path) => path.split('/').length === 2)).toEqual(
    versions,
  )

  const { disk, checks } = await client.health.get()
  expect(disk?.bytesByKind.store).toBeGreaterThan(0)
  expect(disk?.measuredAt).not.toBeNull()
  expect(checks.map(({ name }) => name)).toContain('disk-has-room')
  expect(await client.health.metrics()).toMatch(/^swarm_state_bytes\{kind="logs"\} \d+$/m)
})

test('U11: after a crash gc leaves no sandbox, process, mount, socket or lock behind', async () => {
  const directory = await makeTestDirectory()
  await writeTestConfig(directory, 'sandbox: { warm: 0 }\nretry: { runs: 1 }\n')
  const state = join(directory, 'state')
  crashed = { directory, daemon: await startDaemonProcess(directory) }
  await crashed.daemon.client.projects.create({ key: 'WEB', name: 'web' })
  await registerSteps(crashed.daemon.client, 'long', [
    { id: 'work', kind: 'run', command: ['sh', '-c', 'echo begun; sleep 300'] },
  ])
  const { key } = await crashed.daemon.client.tickets.create({ project: 'WEB', title: 'x', workflow: 'long' })
  await waitFor('a sandbox', async () => ((await list(state, 'sandboxes')).length > 0 ? true : undefined))
  await waitFor('its process', async () =>
    (await listProcessesWith('sleep 300')).length > 0 ? true : undefined,
  )
  await crashed.daemon.kill()
  crashed.daemon = await startDaemonProcess(directory)
  const { client } = crashed.daemon
  // What is driven stays.
  await waitFor('the run to be taken over', async () =>
    (await client.tickets.get(key)).status === 'running' ? true : undefined,
  )
  await client.maintenance.collectGarbage({})
  expect((await listProcessesWith('sleep 300')).length).toBeGreaterThan(0)
  await client.tickets.cancel(key)
  await waitForTicketEnd(client, key)

  await client.maintenance.collectGarbage({})
  expect((await list(state, 'sandboxes')).filter((name) => name.startsWith('sbx_'))).toEqual([])
  expect(await list(state, 'doors')).toEqual([])
  expect(await list(state, 'tmp')).toEqual([])
  expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(state)
  expect((await listProcessesWith(state)).filter((pid) => pid !== crashed?.daemon.pid)).toEqual([])
})

test('P2: a daemon that is killed in the middle of gc goes on where it was', async () => {
  const directory = await makeTestDirectory()
  await writeTestConfig(
    directory,
    'sandbox: { driver: fake, warm: 0 }\nretention: { logs: 1ms, runs: 1ms }\nslots: 4\n',
  )
  const state = join(directory, 'state')
  crashed = { directory, daemon: await startDaemonProcess(directory) }
  const { client } = crashed.daemon
  await client.projects.create({ key: 'WEB', name: 'web' })
  await registerSteps(client, 'one', [{ id: 'work', kind: 'run', command: ['true'] }])
  const keys = await Promise.all(
    Array.from(
      { length: 40 },
      async () => (await client.tickets.create({ project: 'WEB', title: 'x', workflow: 'one' })).key,
    ),
  )
  for (const key of keys) await waitForTicketEnd(client, key, 60_000)
  const round = client.maintenance.collectGarbage({}).catch(() => undefined)
  await waitFor('the first to go', async () => ((await list(state, 'logs')).length < 40 ? true : undefined))
  await crashed.daemon.kill()
  await round
  crashed.daemon = await startDaemonProcess(directory)
  await crashed.daemon.client.maintenance.collectGarbage({})
  expect(await list(state, 'logs')).toEqual([])
  for (const key of keys) {
    const ticket = await crashed.daemon.client.tickets.get(key)
    expect((await crashed.daemon.client.runs.get(ticket.currentRunId ?? '')).steps).toEqual([])
  }
  expect((await crashed.daemon.client.maintenance.collectGarbage({ isDryRun: true })).runCount).toBe(0)
})
