import { spawnSync } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createServiceNotifier, readWatchdogMs } from '../../src/platform/service-notify.ts'
import { startDaemonProcess } from '../support/daemon-process.ts'
import { type NotifySocket, openNotifySocket } from '../support/notify-socket.ts'
import { createTestCoordinator } from '../support/test-coordinator.ts'
import { writeTestConfig } from '../support/test-swarm.ts'
import { waitFor } from '../support/wait-for.ts'
import { makeDirectory } from './cli-process.ts'

const hasSystemdNotify = spawnSync('systemd-notify', ['--version']).status === 0
const REASON = 'systemd-notify is absent: apt-get install systemd'
const testWithSystemd = (name: string, run: () => Promise<void>) =>
  test(name, async ({ skip }) => {
    if (!hasSystemdNotify) skip(REASON)
    await run()
  })

async function open(): Promise<{ directory: string; socket: NotifySocket }> {
  const directory = await makeDirectory()
  const socket = await openNotifySocket(directory)
  onTestFinished(() => socket[Symbol.asyncDispose]())
  return { directory, socket }
}

const hears = (socket: NotifySocket, line: string, count = 1) =>
  waitFor(`${count} × ${line}`, async () => (socket.count(line) >= count ? true : undefined))

testWithSystemd(
  'systemd hears READY when the sockets answer, WATCHDOG while work goes on, STOPPING at the end',
  async () => {
    const { directory, socket } = await open()
    await mkdir(join(directory, 'state'), { mode: 0o700 })
    await writeTestConfig(directory, 'sandbox: { driver: fake }\n')
    const starting = startDaemonProcess(directory, { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '600000' })
    await hears(socket, 'READY=1')
    const daemon = await starting
    onTestFinished(() => daemon.kill())
    expect((await daemon.client.health.get()).isLive).toBe(true)
    expect(socket.messages()[0]).toEqual(['READY=1', `STATUS=serves ${join(directory, 'state')}/api.sock`])
    await hears(socket, 'WATCHDOG=1', 3)
    expect(await daemon.signal('SIGTERM')).toBe(0)
    await hears(socket, 'STOPPING=1')
    expect(socket.count('READY=1')).toBe(1)
    // What a service manager keeps is JSON, line for line, without colour.
    const lines = daemon
      .log()
      .split('\n')
      .filter((line) => line.startsWith('{'))
    expect(lines.map((line) => JSON.parse(line).msg)).toContain('swarm is up')
    expect(daemon.log()).not.toContain('\x1b')
  },
)

testWithSystemd(
  'the watchdog is not fed while the poller stands still, and is again afterwards',
  async () => {
    const { socket } = await open()
    let release = () => {}
    const stuck = new Promise<void>((resolve) => {
      release = resolve
    })
    let isStuck = false
    const scene = await createTestCoordinator({
      onWrite: (name) => (isStuck && name === 'claimNext' ? stuck : undefined),
    })
    onTestFinished(() => scene[Symbol.asyncDispose]())
    await scene.start()
    const warnings: string[] = []
    const notifier = createServiceNotifier({
      environment: { ...process.env, NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '200000' },
      isLive: async () => (await scene.coordinator.health()).isLive,
      warn: (_fields, fact) => warnings.push(fact),
    })
    onTestFinished(() => notifier.close())
    onTestFinished(() => release())
    await notifier.ready('ready')
    await hears(socket, 'WATCHDOG=1', 2)

    isStuck = true
    scene.coordinator.wake()
    scene.moveClock(60_000)
    await waitFor('it is not live', async () =>
      (await scene.coordinator.health()).isLive ? undefined : true,
    )
    await hears(socket, 'STATUS=not live: loops stand still or the store does not answer')
    const fed = socket.count('WATCHDOG=1')
    let asked = 0
    await waitFor('many periods passed', async () => (++asked > 20 ? true : undefined))
    expect(socket.count('WATCHDOG=1')).toBe(fed)
    expect(warnings).toEqual(['not live: the watchdog of the service manager is not fed'])

    isStuck = false
    release()
    await hears(socket, 'WATCHDOG=1', fed + 2)
  },
)

testWithSystemd('one no, as after a leap of the clock, is made good before the period ends', async () => {
  const { socket } = await open()
  const askedAt: number[] = []
  const periodMs = 4_000
  const notifier = createServiceNotifier({
    environment: { ...process.env, NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: String(periodMs * 1_000) },
    isLive: async () => askedAt.push(performance.now()) !== 1,
    warn: () => {},
  })
  onTestFinished(() => notifier.close())
  const begunAt = performance.now()
  await notifier.ready('ready')
  await hears(socket, 'WATCHDOG=1')
  const [first = 0, second = 0] = askedAt
  // Asked after another half of the period, it would be killed in the same moment.
  expect(second - first).toBeLessThan(first - begunAt)
})

testWithSystemd('the watchdog is not fed when the question for health gets no answer', async () => {
  const { socket } = await open()
  const notifier = createServiceNotifier({
    environment: { ...process.env, NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '200000' },
    isLive: () => new Promise(() => {}),
    warn: () => {},
  })
  onTestFinished(() => notifier.close())
  await notifier.ready('ready')
  await hears(socket, 'STATUS=not live: loops stand still or the store does not answer')
  expect(socket.count('WATCHDOG=1')).toBe(0)
})

test('a systemd-notify that hangs, fails or is absent holds nothing up and is told once', async () => {
  const directory = await makeDirectory()
  const program = join(directory, 'systemd-notify')
  const warnings: unknown[] = []
  const tell = async (environment: Record<string, string>) => {
    const notifier = createServiceNotifier({
      environment: { NOTIFY_SOCKET: join(directory, 'none.sock'), ...environment },
      isLive: async () => true,
      warn: (fields) => warnings.push(fields.trouble),
    })
    await notifier.ready('a\nREADY=0')
    await notifier.stopping('b')
    notifier.close()
  }
  await tell({ PATH: directory })
  await writeFile(program, '#!/bin/sh\necho "no $2" >&2\nexit 1\n')
  await chmod(program, 0o755)
  await tell({ PATH: directory })
  await writeFile(program, '#!/bin/sh\nexec sleep 60\n')
  const started = tell({ PATH: `${directory}:/usr/bin:/bin` })
  await started
  expect(warnings).toEqual([
    expect.stringContaining('cannot start systemd-notify'),
    'no STATUS=a READY=0',
    expect.stringContaining('no end within'),
  ])
})

test('without a service manager nothing is started and nothing is said', async () => {
  const warnings: unknown[] = []
  const notifier = createServiceNotifier({
    environment: { PATH: '/nonexistent', WATCHDOG_USEC: '200000' },
    isLive: async () => false,
    warn: (fields) => warnings.push(fields),
  })
  await notifier.ready('ready')
  await notifier.stopping('end')
  notifier.close()
  expect(warnings).toEqual([])
})

test('a watchdog that was set for another process is not ours', () => {
  expect(readWatchdogMs({ WATCHDOG_USEC: '30000000' })).toBe(30_000)
  expect(readWatchdogMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: String(process.pid) })).toBe(30_000)
  expect(readWatchdogMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' })).toBeUndefined()
  expect(readWatchdogMs({})).toBeUndefined()
  expect(readWatchdogMs({ WATCHDOG_USEC: '-1' })).toBeUndefined()
})
