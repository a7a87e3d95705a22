import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { PullRequest } from '../../src/domain/pull-request.ts'
import type { Claim, EffectOutcome } from '../../src/store/contract.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { expectProblem } from '../support/expect-problem.ts'

const DIFF = '--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+\u001b[31mb\n'

let server: ApiServer
let pullRequest: PullRequest
beforeEach(async () => {
  server = await startApiServer()
  const project = await server.owner.projects.create({ key: 'WEB', name: 'Web', repositoryUrl: '/srv/x.git' })
  const ticket = await server.owner.tickets.create({ project: 'WEB', title: 'work' })
  const { run } = await claimNext()
  pullRequest = await server.store.write.upsertPullRequest({
    projectId: project.id,
    ticketId: ticket.id,
    runId: run.id,
    forge: 'local',
    title: 'Fix it',
    body: 'Because',
    branch: 'swarm/web-1-work',
    baseBranch: 'main',
    headCommit: 'a'.repeat(40),
    baseCommit: 'b'.repeat(40),
    diff: DIFF,
    isDiffTruncated: false,
    additionCount: 1,
    deletionCount: 1,
    changedFiles: ['x'],
    url: null,
  })
  await server.store.write.finishRun({
    runId: run.id,
    holder: 'host-1',
    epoch: run.lease.epoch,
    outcome: { status: 'succeeded', outputs: {}, ticket: 'review' },
  })
})
afterEach(async () => await server[Symbol.asyncDispose]())

const NO_PULL_REQUEST = 'prq_00000000000000000000000000'

describe('pull requests', () => {
  test('are listed and shown; the diff has its own address', async () => {
    const { items } = await server.owner.pullRequests.list({
      project: 'WEB',
      ticket: 'WEB-1',
      status: ['open'],
    })
    expect(items).toMatchObject([{ id: pullRequest.id, number: 1, title: 'Fix it', status: 'open' }])
    expect(items[0]).not.toHaveProperty('diff')
    expect(await server.owner.pullRequests.get(pullRequest.id)).toEqual(items[0])
    expect(await server.owner.pullRequests.diff(pullRequest.id)).toBe(DIFF)
    expect((await server.owner.pullRequests.list({ status: ['merged'] })).items).toEqual([])
    await expectProblem(server.owner.pullRequests.get(NO_PULL_REQUEST), 404, 'not_found')
    await expectProblem(server.owner.pullRequests.diff(NO_PULL_REQUEST), 404, 'not_found')
  })

  test('a reviewer approves; a reader may not', async () => {
    const reader = await server.connectAs('read')
    await expectProblem(reader.pullRequests.approve(pullRequest.id), 403, 'missing_scope')
    const reviewer = await server.connectAs('review')
    expect((await reviewer.pullRequests.approve(pullRequest.id)).reviewState).toBe('approved')
  })

  test('asking for changes needs words and gives the ticket back to the queue', async () => {
    await expectProblem(
      server.owner.pullRequests.requestChanges(pullRequest.id, {} as never),
      422,
      'invalid_request',
    )
    await server.owner.pullRequests.requestChanges(pullRequest.id, { comment: 'Add a test' })
    expect((await server.owner.tickets.get('WEB-1')).status).toBe('pending')
  })

  test('a merge waits for the forge and says what became of it; asked again it says so again', async () => {
    const forge = settleNextEffect(() => ({
      kind: 'merged',
      pullRequestId: pullRequest.id,
      mergeCommit: 'c'.repeat(40),
      result: {},
    }))
    const merged = await server.owner.pullRequests.merge(pullRequest.id)
    expect(merged).toMatchObject({
      outcome: 'done',
      pullRequest: { status: 'merged', mergeCommit: 'c'.repeat(40) },
    })
    expect((await forge).payload).toEqual({ pullRequestId: pullRequest.id, actor: 'owner' })
    expect((await server.owner.tickets.get('WEB-1')).status).toBe('done')
    expect((await server.owner.pullRequests.merge(pullRequest.id)).outcome).toBe('done')
    await expectProblem(server.owner.pullRequests.close(pullRequest.id), 409, 'conflict')
  })

  test('a forge that does not answer in time is 202, and two who ask make one merge', async () => {
    const answers = await Promise.all([
      server.owner.pullRequests.merge(pullRequest.id, { waitMs: 0 }),
      server.owner.pullRequests.merge(pullRequest.id, { waitMs: 0 }),
    ])
    for (const answer of answers) expect(answer.outcome).toBe('pending')
    expect(new Set(answers.map(({ effectId }) => effectId)).size).toBe(1)
    expect(await server.store.read.listEffects({})).toHaveLength(1)
  })

  test('a conflict is told with its reason, and a person may ask again', async () => {
    const refuse = (): EffectOutcome => ({
      kind: 'merge_refused',
      pullRequestId: pullRequest.id,
      reason: 'merge_conflict',
      detail: 'x was changed on both sides',
      result: {},
    })
    void settleNextEffect(refuse)
    const first = await server.owner.pullRequests.merge(pullRequest.id)
    expect(first).toMatchObject({
      outcome: 'refused',
      reason: 'merge_conflict',
      detail: 'x was changed on both sides',
      pullRequest: { status: 'open' },
    })
    void settleNextEffect(refuse)
    const second = await server.owner.pullRequests.merge(pullRequest.id)
    expect(second.effectId).not.toBe(first.effectId)
  })

  test('a pull request is closed on its forge', async () => {
    void settleNextEffect(() => ({ kind: 'closed', pullRequestId: pullRequest.id, result: {} }))
    expect(await server.owner.pullRequests.close(pullRequest.id)).toMatchObject({
      outcome: 'done',
      pullRequest: { status: 'closed' },
    })
  })
})

async function claimNext(): Promise<Claim> {
  const claim = await server.store.write.claimNext({ holder: 'host-1', leaseTtlMs: 60_000 })
  if (claim === undefined) throw new Error('nothing was claimed')
  return claim
}

/** Plays the sender of effects once: takes the next one from the outbox and records this outcome. */
async function settleNextEffect(outcome: () => EffectOutcome) {
  const enqueued = Promise.withResolvers<void>()
  const unsubscribe = server.store.subscribe((events) => {
    if (events.some(({ type }) => type === 'effect.enqueued')) enqueued.resolve()
  })
  await enqueued.promise
  unsubscribe()
  const [effect] = await server.store.write.claimEffects({ countMax: 1 })
  if (effect === undefined) throw new Error('the outbox is empty')
  return await server.store.write.completeEffect({ effectId: effect.id, outcome: outcome() })
}
