import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import type { PullRequest } from '../../src/domain/pull-request.ts'
import type { Claim, EffectOutcome } from '../../src/store/contract.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { type CliOptions, runCli } from './cli-process.ts'

let server: ApiServer
let held: Claim
let projectId: PullRequest['projectId']
beforeEach(async () => {
  server = await startApiServer()
  projectId = (await server.owner.projects.create({ key: 'WEB', name: 'Web' })).id
  await server.owner.tickets.create({ project: 'WEB', title: 'work' })
  const claim = await server.store.write.claimNext({ holder: 'host-1', leaseTtlMs: 600_000 })
  if (claim === undefined) throw new Error('nothing was claimed')
  held = claim
})
afterEach(async () => await server[Symbol.asyncDispose]())

function swarm(args: readonly string[], options?: CliOptions) {
  return runCli([...args, '--state-dir', server.directory], options)
}

function proof() {
  return { runId: held.run.id, holder: 'host-1', epoch: held.run.lease.epoch }
}

async function createStep(stepId: string) {
  const instances = [{ stepId, index: null, key: stepId, kind: 'run', item: null }]
  const [created] = await server.store.write.createStepInstances({ ...proof(), instances })
  if (created === undefined) throw new Error('the step was not created')
  return created
}

async function finishRun(ticket: 'done' | 'review' = 'done') {
  const outcome = { status: 'succeeded', outputs: {}, ticket } as const
  await server.store.write.finishRun({ ...proof(), outcome })
}

function openLog(stepKey: string) {
  return server.logs.open({ runId: held.run.id, stepKey, attempt: 1 })
}

describe('logs', () => {
  test('into a pipe they come byte for byte', async () => {
    await createStep('build')
    const writer = await openLog('build')
    const bytes = Buffer.from('one\n\u001b[31mtwo\u001b[0m\r\nthree without an end')
    await writer.append('stdout', bytes)
    await writer.close()
    const result = await swarm(['logs', 'WEB-1'])
    expect(result).toEqual({ code: 0, stdout: bytes.toString(), stderr: '' })
    const marked = await swarm(['run', 'logs', held.run.id, '--timestamps'])
    expect(marked.stdout).toMatch(/^\d\d:\d\d:\d\d one\n\d\d:\d\d:\d\d two\n/)
    const lines = (await swarm(['logs', 'WEB-1', '--json'])).stdout.trimEnd().split('\n')
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ stepKey: 'build', attempt: 1, stream: 'stdout' })
  })

  test('of several steps each line says whose it is, and is made harmless', async () => {
    for (const [step, text] of [
      ['build', 'made\u001b[2J\n'],
      ['test', 'ran\n'],
    ] as const) {
      await createStep(step)
      const writer = await openLog(step)
      await writer.append('stdout', Buffer.from(text))
      await writer.close()
    }
    expect((await swarm(['logs', 'WEB-1'])).stdout).toBe('build | made\\x1b[2J\ntest | ran\n')
    expect((await swarm(['logs', 'WEB-1', '--step', 'test'])).stdout).toBe('ran\n')
    expect(await swarm(['logs', 'WEB-1', '--step', 'absent'])).toMatchObject({
      code: EXIT.notFound,
      stdout: '',
    })
  })

  test('--tail gives the last lines only', async () => {
    await createStep('build')
    const writer = await openLog('build')
    for (let i = 1; i <= 500; i++) await writer.append('stdout', Buffer.from(`line ${i}\n`))
    await writer.close()
    expect((await swarm(['logs', 'WEB-1', '--tail', '3'])).stdout).toBe('line 498\nline 499\nline 500\n')
    expect((await swarm(['logs', 'WEB-1', '--tail', '0'])).stdout).toBe('')
  })

  test('following shows what comes and ends with the run', async () => {
    await createStep('build')
    const writer = await openLog('build')
    await writer.append('stdout', Buffer.from('first\n'))
    let isAsked = false
    const result = await swarm(['logs', '-f', 'WEB-1'], {
      onOutput: (_child, stdout) => {
        if (isAsked || !stdout.includes('first')) return
        isAsked = true
        void writer
          .append('stdout', Buffer.from('second\n'))
          .then(() => writer.close())
          .then(() => finishRun())
      },
    })
    expect(result).toEqual({ code: 0, stdout: 'first\nsecond\n', stderr: '' })
  })

  test('Ctrl-C while following ends it with 130', async () => {
    await createStep('build')
    const writer = await openLog('build')
    await writer.append('stdout', Buffer.from('first\n'))
    const result = await swarm(['logs', '-f', 'WEB-1'], {
      onOutput: (child, stdout) => {
        if (stdout.includes('first')) child.kill('SIGINT')
      },
    })
    await writer.close()
    expect(result).toEqual({ code: EXIT.interrupted, stdout: 'first\n', stderr: '' })
  })
})

describe('runs', () => {
  test('are listed and shown by identifier, by its beginning and by ticket', async () => {
    await createStep('build')
    const { id } = held.run
    expect((await swarm(['run', 'list', '-q'])).stdout).toBe(`${id}\n`)
    for (const name of [id, id.slice(0, 20), id.slice(4, 20), 'web-1']) {
      expect(JSON.parse((await swarm(['run', 'show', name, '--json'])).stdout)).toMatchObject({ id })
    }
    expect((await swarm(['run', 'show', 'WEB-1'])).stdout).toMatch(/^build +run +pending/m)
  })

  test('what a run asks is shown with the command to answer, and run-ticket exits with 6', async () => {
    const { id: stepInstanceId } = await createStep('gate')
    await server.store.write.openWait({
      ...proof(),
      stepInstanceId,
      kind: 'approval',
      subject: 'Deploy\u0007 it?',
    })
    await server.store.write.parkRun(proof())
    const shown = await swarm(['run', 'show', 'WEB-1'])
    expect(shown.stdout).toContain('waits for approval: Deploy\\x07 it?')
    const waited = await swarm(['run-ticket', 'WEB-1', '--wait'])
    expect(waited.code).toBe(EXIT.waiting)
    expect(waited.stderr).toContain('swarm run approve WEB-1')
    expect(await swarm(['run', 'approve', 'WEB-1', '-m', 'Go'])).toMatchObject({ code: 0 })
    expect(await swarm(['run', 'approve', 'WEB-1'])).toMatchObject({ stdout: '' })
    expect((await server.owner.runs.get(held.run.id)).openWaits).toEqual([])
  })

  test('a question is answered from standard input', async () => {
    const { id: stepInstanceId } = await createStep('ask')
    await server.store.write.openWait({ ...proof(), stepInstanceId, kind: 'question', subject: 'Which?' })
    expect(await swarm(['run', 'answer', 'WEB-1'])).toMatchObject({ code: EXIT.usage })
    const answered = await swarm(['run', 'answer', 'WEB-1', '-', '--json'], { stdin: 'The second\n' })
    expect(answered.code).toBe(0)
    expect(JSON.stringify(JSON.parse(answered.stdout).resolution)).toContain('The second')
  })

  test('watch shows what happens until the end; --exit-status tells how it ended', async () => {
    const finish = (text: string) => {
      if (text.includes('run.claimed') && held !== undefined) void finishRun().catch(() => {})
    }
    const watched = await swarm(['run', 'watch', 'WEB-1', '--exit-status', '--json'], {
      onOutput: (_child, stdout) => finish(stdout),
    })
    expect(watched).toMatchObject({ code: 0, stderr: '' })
    const types = watched.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).type)
    expect(types).toContain('run.succeeded')
  })

  test('one that ended before anything ran has no output, and it is said where the reason is', async () => {
    expect((await swarm(['logs', 'WEB-1'])).stderr).toBe('no output yet\n')
    await finishRun()
    const { code, stdout, stderr } = await swarm(['logs', 'WEB-1'])
    expect([code, stdout]).toEqual([0, ''])
    expect(stderr).toContain(`swarm run show ${held.run.id}`)
  })

  test('canceling a ticket asks its holder; one without a run is over at once', async () => {
    expect((await swarm(['ticket', 'cancel', 'WEB-1'])).stdout).toBe('WEB-1 is asked to end (running)\n')
    await server.owner.tickets.create({ project: 'WEB', title: 'not begun' })
    expect((await swarm(['ticket', 'cancel', 'WEB-2'])).stdout).toBe('WEB-2 is over (canceled)\n')
  })

  test('cancel asks the holder', async () => {
    expect(await swarm(['run', 'cancel', 'WEB-1'])).toMatchObject({ code: 0 })
    expect(server.control.canceledRuns).toEqual([held.run.id])
  })
})

describe('pull requests', () => {
  const diff = '--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+\u001b[31mb\n'
  let pullRequest: PullRequest
  beforeEach(async () => {
    pullRequest = await server.store.write.upsertPullRequest({
      projectId,
      ticketId: held.ticket.id,
      runId: held.run.id,
      forge: 'local',
      title: 'Fix it',
      body: 'Because',
      branch: 'swarm/web-1-work',
      baseBranch: 'main',
      headCommit: 'a'.repeat(40),
      baseCommit: 'b'.repeat(40),
      diff,
      isDiffTruncated: false,
      additionCount: 1,
      deletionCount: 1,
      changedFiles: ['x'],
      url: null,
    })
    await finishRun('review')
  })

  test('are listed, shown and their diff printed byte for byte into a pipe', async () => {
    expect((await swarm(['pr', 'list', '-q', '--status', 'open'])).stdout).toBe(`${pullRequest.id}\n`)
    await server.owner.projects.create({ key: 'API', name: 'Another one' })
    const [heading, row] = (await swarm(['pr', 'list'])).stdout.split('\n')
    expect(heading).toMatch(/^PR +STATUS/)
    expect(row).toMatch(/^WEB#1 +open/)
    for (const name of [pullRequest.id, 'WEB-1', 'WEB#1', 'web#1']) {
      expect(JSON.parse((await swarm(['pr', 'show', name, '--json'])).stdout)).toMatchObject({
        id: pullRequest.id,
      })
    }
    const env = { SWARM_PROJECT: 'WEB' }
    for (const name of ['#1', '1']) {
      expect(JSON.parse((await swarm(['pr', 'show', name, '--json'], { env })).stdout)).toMatchObject({
        id: pullRequest.id,
      })
    }
    expect((await swarm(['pr', 'diff', 'WEB-1'])).stdout).toBe(diff)
    for (const name of ['WEB#7', 'API#1']) {
      expect(await swarm(['pr', 'show', name])).toMatchObject({ code: EXIT.notFound, stdout: '' })
    }
    expect(await swarm(['pr', 'show', '#1'])).toMatchObject({ code: EXIT.usage, stdout: '' })
  })

  test('a ticket in review waits for a person: exit code 6 and the commands', async () => {
    const { code, stderr } = await swarm(['run-ticket', 'WEB-1', '--wait'])
    expect(code).toBe(EXIT.waiting)
    expect(stderr).toContain('swarm pr merge WEB-1')
  })

  test('approve, merge and request-changes reach the forge; a conflict exits with 5', async () => {
    expect(await swarm(['pr', 'approve', 'WEB-1'])).toMatchObject({ code: 0, stdout: '#1 approved\n' })
    const refused = settleNextEffect({
      kind: 'merge_refused',
      pullRequestId: pullRequest.id,
      reason: 'merge_conflict',
      detail: 'x was changed on both sides',
      result: {},
    })
    const conflict = await swarm(['pr', 'merge', 'WEB-1'])
    await refused
    expect(conflict.code).toBe(EXIT.conflict)
    expect(conflict.stderr).toContain('merge conflict: x was changed on both sides')
    expect(conflict.stderr).toContain('swarm pr request-changes')
    expect(await swarm(['pr', 'request-changes', 'WEB-1'])).toMatchObject({ code: EXIT.usage })
    expect(await swarm(['pr', 'request-changes', 'WEB-1', '-m', 'Rebase'])).toMatchObject({ code: 0 })
    expect((await server.owner.tickets.get('WEB-1')).status).toBe('pending')
  })
})

/** Plays the sender of effects once: takes the next one from the outbox and records this outcome. */
async function settleNextEffect(outcome: EffectOutcome) {
  const enqueued = Promise.withResolvers<void>()
  const unsubscribe = server.store.subscribe((events) => {
    if (events.some(({ type }) => type === 'effect.enqueued')) enqueued.resolve()
  })
  await enqueued.promise
  unsubscribe()
  const [effect] = await server.store.write.claimEffects({ countMax: 1 })
  if (effect === undefined) throw new Error('the outbox is empty')
  return await server.store.write.completeEffect({ effectId: effect.id, outcome })
}
