import { randomBytes } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type RunId, toId } from '../../src/domain/id.ts'
import type { ForgeCatalogue } from '../../src/engine/ports.ts'
import { type Forge, ForgeError, type Mirror } from '../../src/forge/contract.ts'
import { type Sandbox, type SandboxDriver, SandboxError } from '../../src/sandbox/contract.ts'
import type { StoreWriter } from '../../src/store/contract.ts'
import { StoreError } from '../../src/store/errors.ts'
import {
  createTestCoordinator,
  type TestCoordinator,
  type TestCoordinatorOptions,
} from '../support/test-coordinator.ts'
import { waitFor } from '../support/wait-for.ts'

const COMMIT = 'a'.repeat(40)

let scene: TestCoordinator | undefined
afterEach(async () => {
  await scene?.[Symbol.asyncDispose]()
  scene = undefined
})

async function begin(options: TestCoordinatorOptions = {}): Promise<TestCoordinator> {
  scene = await createTestCoordinator(options)
  return scene
}

function toWorkflow(name: string, steps: string): string {
  return `name: ${name}\nversion: 1\ndone-when: finished\nsteps:\n${steps}`
}

function toRunStep(id: string, more: string, steering: string): string {
  return `  - { id: ${id}, kind: run, ${more}, command: [echo, hello, '${steering}'] }\n`
}

/** Fails the first calls of one write as a store does that has no room. */
function failFirst(name: keyof StoreWriter, count: number): (called: keyof StoreWriter) => void {
  let left = count
  return (called) => {
    if (called !== name || left === 0) return
    left--
    throw new StoreError('disk_full', 'no room on the disk')
  }
}

async function listAttempts({ store }: TestCoordinator, runId: RunId | null) {
  if (runId === null) throw new Error('the ticket has no run')
  return await store.read.listAttempts({ runId })
}

function changeSandbox(change: (sandbox: Sandbox) => Partial<Sandbox>) {
  return (driver: SandboxDriver): SandboxDriver => ({
    ...driver,
    spawn: async (request, signal) => {
      const sandbox = await driver.spawn(request, signal)
      return Object.assign(Object.create(sandbox) as Sandbox, sandbox, change(sandbox))
    },
  })
}

test('P7: killed between the record of a sandbox and the note about it, the step goes on at the next start', async () => {
  const current = await begin()
  const { store, project } = current
  await current.register(toWorkflow('one', toRunStep('work', 'timeout: 1m', 'FAKE_OUTPUT=x')))
  const ticket = await current.createTicket('one')
  const dead = { holder: 'dead-coordinator', leaseTtlMs: 30_000 }
  const claim = await store.write.claimNext(dead)
  if (claim === undefined) throw new Error('nothing was claimable')
  const proof = { runId: claim.run.id, holder: dead.holder, epoch: 1 }
  const workflow = await store.read.findWorkflow({ name: 'one' })
  if (workflow === undefined) throw new Error('no workflow')
  await store.write.translateRun({
    ...proof,
    workflowId: workflow.id,
    workflow: 'one@1',
    inputs: {},
    pins: {
      baseCommit: null,
      startCommit: null,
      baseBranch: null,
      branch: null,
      agent: null,
      setup: [],
      checks: [],
      rule: 'ticket',
      feedback: null,
    },
  })
  const [instance] = await store.write.createStepInstances({
    ...proof,
    instances: [{ stepId: 'work', index: null, key: 'work', kind: 'run', item: null }],
  })
  if (instance === undefined) throw new Error('no instance')
  const attempt = await store.write.startAttempt({
    ...proof,
    stepInstanceId: instance.id,
    inputs: { kind: 'run', command: ['echo', 'hello'], env: {} },
  })
  const [host] = await store.read.listHosts()
  if (host === undefined) throw new Error('no host')
  await store.write.createSandboxEntry({
    ...proof,
    id: toId('sandbox', store.now(), randomBytes(16)),
    hostId: host.id,
    driver: 'fake',
    stepInstanceId: instance.id,
    attemptId: attempt.id,
  })

  await current.start()
  expect((await current.waitForTicket(ticket.id)).status).toBe('done')
  expect((await listAttempts(current, claim.run.id)).map(({ status }) => status)).toEqual(['succeeded'])
  expect(project.key).toBe('TST')
  const entries = await store.read.listSandboxEntries({ runId: claim.run.id })
  expect(entries.map(({ status }) => status)).toEqual(['lost', 'gone'])
})

test.each(['succeedAttempt', 'advanceAttempt', 'finishRun', 'startAttempt'] as const)(
  'P14: a store that has no room for a moment at %s costs no result',
  async (name) => {
    const spawned: string[] = []
    const current = await begin({
      onWrite: failFirst(name, 2),
      wrapDriver: (driver) => ({
        ...driver,
        spawn: (request, signal) => {
          spawned.push(request.sandboxId)
          return driver.spawn(request, signal)
        },
      }),
    })
    await current.register(toWorkflow('full', toRunStep('work', 'retry: { max: 0 }', 'FAKE_OUTPUT=x')))
    const ticket = await current.createTicket('full')
    await current.start()
    const ended = await current.waitForTicket(ticket.id)
    expect(ended.status).toBe('done')
    // A sandbox that could not be noted before it was made is made once more; what has run is not run again.
    expect(spawned.length).toBeLessThanOrEqual(name === 'advanceAttempt' ? 2 : 1)
  },
)

test('a run that is lost and claimed anew by the same process is driven on under the new epoch, at once', async () => {
  const current = await begin({ leaseTtlMs: 20_000 })
  await current.register(
    toWorkflow('slow', toRunStep('work', 'retry: { max: 1, backoff: 0s }', 'FAKE_DELAY_MS=2000')),
  )
  const ticket = await current.createTicket('slow')
  await current.start()
  await waitFor('the work', async () => {
    const events = await current.store.read.listEvents({ afterSeq: 0, types: ['attempt.phase_changed'] })
    return events.some(({ data }) => data.phase === 'awaiting') || undefined
  })
  // As after a machine slept: the lease has passed before anyone could renew it.
  current.moveClock(30_000)
  const ended = await current.waitForTicket(ticket.id, 12_000)
  expect(ended.status).toBe('done')
  const run = await current.store.read.findRun(ended.currentRunId as RunId)
  expect(run?.lease.epoch).toBe(2)
  expect(current.log()).not.toContain('is driven here already')
  expect(current.log()).not.toContain('run given up because of a mistake')
})

test('a sandbox that will not end costs neither the result nor the next step', async () => {
  let isStubborn = true
  const current = await begin({
    wrapDriver: changeSandbox((sandbox) => ({
      stop: async (options) => {
        if (isStubborn) {
          isStubborn = false
          throw new SandboxError('guest_failed', 'it does not go')
        }
        await sandbox.stop(options)
      },
    })),
  })
  const steps = toRunStep('first', 'retry: { max: 0 }', 'FAKE_OUTPUT=x')
  await current.register(
    toWorkflow('stubborn', steps + toRunStep('second', 'needs: [first]', 'FAKE_OUTPUT=y')),
  )
  const ticket = await current.createTicket('stubborn')
  await current.start()
  expect((await current.waitForTicket(ticket.id)).status).toBe('done')
  expect(current.log()).toContain('sandbox not ended cleanly')
  expect(current.log()).not.toContain('run given up')
})

test('a second attempt waits until the sandbox of the first one has ended', async () => {
  let liveCount = 0
  let liveCountMax = 0
  const current = await begin({
    wrapDriver: (driver) => ({
      ...changeSandbox((sandbox) => ({
        stop: async (options) => {
          await new Promise((resolve) => setTimeout(resolve, 700))
          await sandbox.stop(options)
          liveCount--
        },
      }))(driver),
      spawn: async (request, signal) => {
        const slow = changeSandbox((sandbox) => ({
          stop: async (options) => {
            await new Promise((resolve) => setTimeout(resolve, 700))
            await sandbox.stop(options)
            if (request.labels.step === 'bad') liveCount--
          },
        }))(driver)
        if (request.labels.step === 'bad') liveCountMax = Math.max(liveCountMax, ++liveCount)
        return await slow.spawn(request, signal)
      },
    }),
  })
  // The other steps keep waking the dispatcher while the first attempt's sandbox is still ending.
  const others = [1, 2, 3]
    .map((n) => toRunStep(`other-${n}`, 'timeout: 1m', `FAKE_DELAY_MS=${n * 150}`))
    .join('')
  const bad = toRunStep('bad', 'retry: { max: 2, backoff: 0s }', 'FAKE_EXIT_CODE=1')
  await current.register(toWorkflow('eager', bad + others))
  const ticket = await current.createTicket('eager')
  await current.start()
  const ended = await current.waitForTicket(ticket.id)
  expect(ended.reason).toBe('command_failed')
  const attempts = await listAttempts(current, ended.currentRunId)
  const bads = attempts.filter(({ reason }) => reason === 'command_failed')
  expect(bads.map(({ number }) => number)).toEqual([1, 2, 3])
  expect(liveCountMax).toBe(1)
  expect(current.log()).not.toContain('run given up')
})

/** A repository whose mirror is there for the translation and then does what the test says. */
function toForges(openMirror: Forge['openMirror']): ForgeCatalogue {
  const mirror = {
    defaultCommit: async () => COMMIT,
    readFileAt: async () => undefined,
    mergeBase: async () => COMMIT,
    resolve: async () => COMMIT,
  } as unknown as Mirror
  const forge = { name: 'fake', ensureMirror: async () => mirror, openMirror } as unknown as Forge
  return {
    find: (project) => ({
      forge,
      project: { projectId: project.id, repositoryUrl: 'https://example.org/r', defaultBranch: 'main' },
    }),
  }
}

async function nameRepository({ store, project }: TestCoordinator): Promise<void> {
  await store.write.updateProject({
    projectId: project.id,
    changes: { repositoryUrl: 'https://example.org/r' },
    actor: 'test',
  })
}

const VERIFY = '  - { id: check, kind: verify, retry: { max: 1, backoff: 0s }, commands: [[test]] }\n'

test('P17: a repository that cannot be reached when a step starts is counted as an attempt, and given up', async () => {
  const forges = toForges(async () => {
    throw new ForgeError('network_failed', 'the mirror is gone and the repository cannot be reached')
  })
  const current = await begin({ forges })
  await nameRepository(current)
  await current.register(toWorkflow('gone', VERIFY))
  const ticket = await current.createTicket('gone')
  await current.start()
  const ended = await current.waitForTicket(ticket.id)
  expect([ended.status, ended.reason]).toEqual(['failed', 'network_failed'])
  const attempts = await listAttempts(current, ended.currentRunId)
  expect(attempts.map(({ status, reason }) => [status, reason])).toEqual([
    ['failed', 'network_failed'],
    ['failed', 'network_failed'],
  ])
})

test('a ticket that is canceled between two steps, while its mirror is read, is canceled at once', async () => {
  let isReading = false
  const forges = toForges((_project, signal) => {
    isReading = true
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  })
  const current = await begin({ forges })
  await nameRepository(current)
  await current.register(toWorkflow('reading', VERIFY))
  const ticket = await current.createTicket('reading')
  await current.start()
  await waitFor('the reading', async () => isReading || undefined)
  const asked = await current.store.write.cancelTicket({ ticketId: ticket.id, actor: 'ann' })
  current.coordinator.cancelRun(asked.currentRunId as RunId)
  expect((await current.waitForTicket(ticket.id, 3_000)).status).toBe('canceled')
})

test('a store that fails at the end does not keep the coordinator from stopping', async () => {
  const current = await begin({ onWrite: failFirst('stopHost', 1) })
  await current.start()
  await current.coordinator.stop('drain')
  expect(current.log()).toContain('end not recorded')
})

test('P2: what a crash left on its way into or out of a sandbox is gone at the next start', async () => {
  const current = await begin()
  for (const folder of ['tmp/sbx_old-harvest', 'doors/sbx_old']) {
    await mkdir(join(current.folder, folder), { recursive: true })
    await writeFile(join(current.folder, folder, 'left'), 'over')
  }
  await current.start()
  expect(await readdir(join(current.folder, 'doors'))).toEqual([])
  expect(await readdir(current.folder)).not.toContain('tmp')
})
