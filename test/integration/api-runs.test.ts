import { readdirSync, readlinkSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { type LogRef, toLogBytes } from '../../src/client/client.ts'
import type { WaitKind } from '../../src/domain/step.ts'
import type { Claim } from '../../src/store/contract.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { expectProblem } from '../support/expect-problem.ts'

let server: ApiServer
let held: Claim
beforeEach(async () => {
  server = await startApiServer()
  await server.owner.projects.create({ key: 'WEB', name: 'Web' })
  await server.owner.tickets.create({ project: 'WEB', title: 'work' })
  held = await claimNext()
})
afterEach(async () => await server[Symbol.asyncDispose]())

const NO_RUN = 'run_00000000000000000000000000'

describe('runs', () => {
  test('a run is shown with its steps, attempts, waits and sandboxes', async () => {
    const { attempt } = await startStep('build')
    const run = await server.owner.runs.get(held.run.id)
    expect(run).toMatchObject({ id: held.run.id, ticketKey: 'WEB-1', status: 'running', number: 1 })
    expect(run.steps.map(({ key, status }) => [key, status])).toEqual([['build', 'running']])
    expect(run.steps[0]?.attempts).toMatchObject([{ id: attempt.id, number: 1, status: 'running' }])
    expect(run.steps[0]?.attempts[0]).not.toHaveProperty('handle')
    await expectProblem(server.owner.runs.get(NO_RUN), 404, 'not_found')
    await expectProblem(server.owner.runs.get('run_x'), 400, 'invalid_request')
  })

  test('runs are listed by ticket and status, page by page', async () => {
    await server.owner.tickets.create({ project: 'WEB', title: 'other' })
    await claimNext()
    const all = await server.owner.runs.list({ limit: 1 })
    expect(all.items).toHaveLength(1)
    const rest = await server.owner.runs.list({ limit: 1, cursor: all.nextCursor ?? '' })
    expect(rest.items).toHaveLength(1)
    expect(rest.items[0]?.id).not.toBe(all.items[0]?.id)
    const ofTicket = await server.owner.runs.list({ ticket: 'WEB-1', status: ['running'] })
    expect(ofTicket.items.map(({ id }) => id)).toEqual([held.run.id])
    expect((await server.owner.runs.list({ status: ['failed'] })).items).toEqual([])
  })

  test('cancel asks the holder and tells the coordinator at once', async () => {
    const run = await server.owner.runs.cancel(held.run.id)
    expect(run.cancelRequestedAt).not.toBeNull()
    expect(server.control.canceledRuns).toEqual([held.run.id])
    await expectProblem(server.owner.runs.cancel(NO_RUN), 404, 'not_found')
  })

  test('an outside agent hears of the cancelation with its next heartbeat', async () => {
    await server.owner.tickets.create({ project: 'WEB', title: 'outside' })
    const claim = await server.owner.tickets.claim('WEB-2', { holder: 'me' })
    await server.store.write.requestRunCancel({ runId: claim.run.id, actor: 'owner' })
    const beat = server.owner.runs.heartbeat(claim.run.id, { holder: 'me', epoch: claim.lease.epoch })
    const outcome = await beat.then(
      (lease) => lease.isCancelRequested,
      (error) => error.code,
    )
    expect([true, 'lease_lost']).toContain(outcome)
  })
})

describe('people decide', () => {
  test('an approval is given, with who gave it, and wakes the coordinator', async () => {
    await openWait('gate', 'approval', 'deploy?')
    const wait = await server.owner.runs.approve(held.run.id, { comment: 'go' })
    expect(wait).toMatchObject({ subject: 'deploy?', resolvedBy: 'owner' })
    const run = await server.owner.runs.get(held.run.id)
    expect(run.steps[0]).toMatchObject({
      status: 'succeeded',
      outputs: { approved: true, approvedBy: 'owner', comment: 'go' },
    })
    expect(run.openWaits).toEqual([])
    expect(server.control.wakeCount).toBeGreaterThan(0)
    await expectProblem(server.owner.runs.approve(held.run.id), 409, 'nothing_to_decide')
  })

  test('a rejection fails the step with who said no and why', async () => {
    await openWait('gate', 'approval', 'deploy?')
    await server.owner.runs.reject(held.run.id, { comment: 'too early' })
    const run = await server.owner.runs.get(held.run.id)
    expect(run.steps[0]).toMatchObject({ status: 'failed', reason: 'rejected', detail: 'too early' })
  })

  test('a question is answered; an approval is no question', async () => {
    await openWait('ask', 'question', 'which colour?')
    await expectProblem(server.owner.runs.approve(held.run.id), 409, 'nothing_to_decide')
    await server.owner.runs.answer(held.run.id, { answer: 'blue' })
    const run = await server.owner.runs.get(held.run.id)
    expect(run.steps[0]?.outputs).toMatchObject({ answer: 'blue' })
  })

  test('of several open approvals one must be named; two who decide at once are told so', async () => {
    const first = await openWait('one', 'approval', 'a?')
    await openWait('two', 'approval', 'b?')
    await expectProblem(server.owner.runs.approve(held.run.id), 409, 'wait_ambiguous')
    const both = await Promise.allSettled([
      server.owner.runs.approve(held.run.id, { waitId: first.id }),
      server.owner.runs.reject(held.run.id, { waitId: first.id }),
    ])
    expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect((await server.owner.runs.get(held.run.id)).openWaits).toHaveLength(1)
  })

  test('a signal is kept until a step asks for it', async () => {
    const signal = await server.owner.runs.sendSignal(held.run.id, {
      name: 'deployed',
      payload: { to: 'live' },
    })
    expect(signal).toMatchObject({ name: 'deployed', payload: { to: 'live' }, consumedAt: null })
    const wait = await openWait('await', 'signal', 'deployed')
    expect(wait.resolvedAt).not.toBeNull()
    await expectProblem(server.owner.runs.sendSignal(held.run.id, { name: 'a b' }), 422, 'invalid_request')
    await expectProblem(server.owner.runs.sendSignal(NO_RUN, { name: 'a' }), 404, 'not_found')
  })
})

describe('logs', () => {
  test('a log is listed and read whole, by offset, tail, count and range', async () => {
    const ref = await writeLog('hello world\n')
    expect((await server.owner.runs.listLogs(held.run.id)).items).toMatchObject([
      { stepKey: 'build', attempt: 1, byteCount: 12, isClosed: true },
    ])
    expect(await read(ref)).toBe('hello world\n')
    expect(await read(ref, { offset: 6 })).toBe('world\n')
    expect(await read(ref, { tail: 6 })).toBe('world\n')
    expect(await read(ref, { tail: 600 })).toBe('hello world\n')
    expect(await read(ref, { offset: 6, bytes: 3 })).toBe('wor')

    const range = await fetchLog(ref, '', { range: 'bytes=6-8' })
    expect([range.status, range.headers.get('content-range'), await range.text()]).toEqual([
      206,
      'bytes 6-8/12',
      'wor',
    ])
    const suffix = await fetchLog(ref, '', { range: 'bytes=-3' })
    expect([suffix.status, await suffix.text()]).toEqual([206, 'ld\n'])
    expect((await fetchLog(ref, '', { range: 'bytes=12-' })).status).toBe(416)
    expect((await fetchLog(ref, '?offset=1&tail=1')).status).toBe(400)
  })

  test('a log that is not there, a step key that is a path, an attempt that is none are refused', async () => {
    const base = { runId: held.run.id, stepKey: 'build', attempt: 1 }
    await expectProblem(server.owner.runs.readLog(base), 404, 'not_found')
    for (const stepKey of ['../../etc', 'a/b', 'a%2fb', 'x[']) {
      await expectProblem(server.owner.runs.readLog({ ...base, stepKey }), 400, 'invalid_request')
    }
    await expectProblem(server.owner.runs.readLog({ ...base, stepKey: '..' }), 404, 'route_not_found')
    await expectProblem(server.owner.runs.readLog({ ...base, attempt: 0 }), 400, 'invalid_request')
  })

  test('following gives every byte once, as it is written, and ends with the log', async () => {
    const ref: LogRef = { runId: held.run.id, stepKey: 'build[3]', attempt: 1 }
    const writer = await server.logs.open({ ...ref, runId: held.run.id })
    await writer.append('stdout', Buffer.from('one\n'))
    const pieces: Uint8Array[] = []
    const seen = Promise.withResolvers<void>()
    const following = (async () => {
      for await (const line of server.owner.runs.followLog(ref)) {
        pieces.push(toLogBytes(line))
        seen.resolve()
      }
    })()
    await seen.promise
    await writer.append('stderr', Buffer.from([0xff, 0x00, 0xc3]))
    await writer.append('stdout', Buffer.from('\u001b[31mtwo\n'))
    await writer.close()
    await following
    expect(Buffer.concat(pieces)).toEqual(
      Buffer.concat([Buffer.from('one\n'), Buffer.from([0xff, 0x00, 0xc3]), Buffer.from('\u001b[31mtwo\n')]),
    )
  })

  test('following goes on where a broken connection stopped', async () => {
    const ref = { runId: held.run.id, stepKey: 'build', attempt: 1 }
    const writer = await server.logs.open(ref)
    await writer.append('stdout', Buffer.from('before '))
    const text: string[] = []
    const first = Promise.withResolvers<void>()
    const following = (async () => {
      for await (const line of server.owner.runs.followLog(ref)) {
        text.push(line.data)
        first.resolve()
      }
    })()
    await first.promise
    server.breakConnections()
    await writer.append('stdout', Buffer.from('after'))
    await writer.close()
    await following
    expect(text.join('')).toBe('before after')
  })

  test('who stops following is gone: nothing is read for him any more', async () => {
    const ref = { runId: held.run.id, stepKey: 'build', attempt: 1 }
    const writer = await server.logs.open(ref)
    await writer.append('stdout', Buffer.from('x'))
    const stop = new AbortController()
    for await (const _line of server.owner.runs.followLog(ref, { signal: stop.signal })) stop.abort()
    await writer.close()
  })
})

describe('artifacts', () => {
  test('an artifact is listed and downloaded as bytes, never as a page', async () => {
    await keepArtifact('artifacts/report.html', '<script>1</script>', 'report "1".html')
    const { items } = await server.owner.runs.listArtifacts(held.run.id)
    expect(items).toMatchObject([{ name: 'report "1".html', byteCount: 18 }])
    expect(items[0]).not.toHaveProperty('path')
    const id = items[0]?.id ?? ''
    const path = `http://localhost/v1/runs/${held.run.id}/artifacts/${id}`
    const response = await server.unixFetch(path, {})
    expect(await response.text()).toBe('<script>1</script>')
    expect(response.headers.get('content-type')).toBe('application/octet-stream')
    expect(response.headers.get('content-disposition')).toBe(
      `attachment; filename="report__1_.html"; filename*=UTF-8''report%20%221%22.html`,
    )
    const bytes = await new Response(await server.owner.runs.downloadArtifact(held.run.id, id)).text()
    expect(bytes).toBe('<script>1</script>')
    await expectProblem(
      server.owner.runs.downloadArtifact(held.run.id, 'art_00000000000000000000000000'),
      404,
      'not_found',
    )
  })

  test('a path that leaves the state directory gives nothing away', async () => {
    await symlink('/etc/hostname', join(server.directory, 'link'))
    await keepArtifact('../../../../../../etc/hostname')
    await keepArtifact('/etc/hostname')
    await keepArtifact('link')
    await keepArtifact('.')
    const { items } = await server.owner.runs.listArtifacts(held.run.id)
    expect(items).toHaveLength(4)
    for (const { id } of items) {
      await expectProblem(server.owner.runs.downloadArtifact(held.run.id, id), 410, 'artifact_gone')
    }
  })

  test('asking for the head of an artifact, or hanging up at once, leaves no file open', async () => {
    await keepArtifact('artifacts/big.bin', 'x'.repeat(10_000))
    const { items } = await server.owner.runs.listArtifacts(held.run.id)
    const { secret } = await server.owner.tokens.create({ name: 'reader', scopes: ['read'] })
    const url = `${server.url}/v1/runs/${held.run.id}/artifacts/${items[0]?.id}`
    const headers = { authorization: `Bearer ${secret}` }
    for (let i = 0; i < 10; i++) {
      const head = await fetch(url, { method: 'HEAD', headers })
      expect(head).toMatchObject({ status: 200 })
      expect(head.headers.get('content-length')).toBe('10000')
      await (await fetch(url, { headers })).body?.cancel()
    }
    await expect.poll(() => countOpen(join(server.directory, 'artifacts', 'big.bin'))).toBe(0)
  })

  /** @param content absent: the record only */
  async function keepArtifact(path: string, content?: string, name = 'x') {
    if (content !== undefined) {
      await mkdir(join(server.directory, 'artifacts'), { recursive: true })
      await writeFile(join(server.directory, path), content)
    }
    const { instance } = await startStep(`step-${Math.random().toString(36).slice(2)}`)
    await server.store.write.addArtifact({
      ...proof(),
      stepInstanceId: instance.id,
      attempt: 1,
      name,
      path,
      byteCount: content?.length ?? 0,
      sha256: '0'.repeat(64),
    })
  }
})

function countOpen(path: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      return false
    }
  }).length
}

async function claimNext(): Promise<Claim> {
  const claim = await server.store.write.claimNext({ holder: 'host-1', leaseTtlMs: 600_000 })
  if (claim === undefined) throw new Error('nothing was claimed')
  return claim
}

function proof() {
  return { runId: held.run.id, holder: 'host-1', epoch: held.run.lease.epoch }
}

async function createStep(stepId: string) {
  const instances = await server.store.write.createStepInstances({
    ...proof(),
    instances: [{ stepId, index: null, key: stepId, kind: 'run', item: null }],
  })
  const instance = instances.find((candidate) => candidate.stepId === stepId)
  if (instance === undefined) throw new Error('the step was not created')
  return instance
}

async function startStep(stepId: string) {
  const instance = await createStep(stepId)
  const attempt = await server.store.write.startAttempt({
    ...proof(),
    stepInstanceId: instance.id,
    inputs: {},
  })
  return { instance, attempt }
}

async function openWait(stepId: string, kind: Exclude<WaitKind, 'effect' | 'run'>, subject: string) {
  const { id: stepInstanceId } = await createStep(stepId)
  return await server.store.write.openWait({ ...proof(), stepInstanceId, kind, subject })
}

async function writeLog(text: string): Promise<LogRef> {
  const ref = { runId: held.run.id, stepKey: 'build', attempt: 1 }
  const writer = await server.logs.open(ref)
  await writer.append('stdout', Buffer.from(text))
  await writer.close()
  return ref
}

async function read(ref: LogRef, options = {}): Promise<string> {
  return await new Response(await server.owner.runs.readLog(ref, options)).text()
}

function fetchLog(ref: LogRef, query: string, headers: Record<string, string> = {}): Promise<Response> {
  const path = `/v1/runs/${ref.runId}/logs/${encodeURIComponent(ref.stepKey)}/${ref.attempt}${query}`
  return server.unixFetch(`http://localhost${path}`, { headers })
}
