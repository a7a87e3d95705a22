import { afterEach, expect, test } from 'vitest'
import type { EffectId, RunId } from '../../src/domain/id.ts'
import type { PullRequest } from '../../src/domain/pull-request.ts'
import type { Forge, Mirror } from '../../src/forge/contract.ts'
import type { StoreWriter } from '../../src/store/contract.ts'
import { StoreError } from '../../src/store/errors.ts'
import { createTestCoordinator, type TestCoordinator } from '../support/test-coordinator.ts'
import { waitFor } from '../support/wait-for.ts'

let scene: TestCoordinator | undefined
afterEach(async () => {
  await scene?.[Symbol.asyncDispose]()
  scene = undefined
})

/** A pull request in the store, on a forge that answers as the test says. */
async function begin(
  answers: Partial<Forge>,
  onWrite?: (name: keyof StoreWriter) => void,
): Promise<TestCoordinator & { readonly pullRequest: PullRequest }> {
  const forge = { name: 'fake', ensureMirror: async () => ({}) as Mirror, ...answers } as Forge
  scene = await createTestCoordinator({
    ...(onWrite === undefined ? {} : { onWrite }),
    forges: {
      find: (project) => ({
        forge,
        project: { projectId: project.id, repositoryUrl: 'https://example.org/r', defaultBranch: 'main' },
      }),
    },
  })
  const { store, project } = scene
  const ticket = await store.write.createTicket({
    projectId: project.id,
    title: 'T',
    isDraft: true,
    actor: 'test',
  })
  const other = await store.write.createTicket({ projectId: project.id, title: 'O', actor: 'test' })
  const claim = await store.write.claimNext({ holder: 'other', leaseTtlMs: 600_000 })
  if (claim?.ticket.id !== other.id) throw new Error('the wrong ticket was claimed')
  const pullRequest = await store.write.upsertPullRequest({
    projectId: project.id,
    ticketId: ticket.id,
    runId: claim.run.id as RunId,
    forge: 'fake',
    title: 'T',
    body: '',
    branch: 'swarm/t',
    baseBranch: 'main',
    headCommit: 'c'.repeat(40),
    baseCommit: 'b'.repeat(40),
    diff: '',
    isDiffTruncated: false,
    additionCount: 1,
    deletionCount: 0,
    changedFiles: ['a'],
    url: null,
  })
  return { ...scene, pullRequest }
}

type Scene = Awaited<ReturnType<typeof begin>>

async function enqueue({ store, pullRequest }: Scene, kind: 'merge_pull_request' | 'close_pull_request') {
  const effect = await store.write.enqueueEffect({
    key: `${kind}:${pullRequest.id}`,
    kind,
    ticketId: pullRequest.ticketId,
    payload: { pullRequestId: pullRequest.id, actor: 'ann' },
    actor: 'ann',
  })
  return effect.id
}

async function waitForEffect({ store }: Scene, effectId: EffectId) {
  return await waitFor(
    'the end of the effect',
    async () => {
      const effect = await store.read.findEffect({ effectId })
      return effect?.status === 'done' || effect?.status === 'dead' ? effect : undefined
    },
    15_000,
  )
}

const closed = { status: 'closed' } as Awaited<ReturnType<NonNullable<Forge['closePullRequest']>>>

test('P14: what was sent is recorded once the store has room again, and is not sent twice', async () => {
  let refusals = 2
  let sent = 0
  const answers = {
    closePullRequest: async () => {
      sent++
      return closed
    },
  }
  const current = await begin(answers, (name) => {
    if (name !== 'completeEffect' || refusals-- <= 0) return
    throw new StoreError('disk_full', 'no room')
  })
  await current.start()
  expect((await waitForEffect(current, await enqueue(current, 'close_pull_request'))).status).toBe('done')
  expect(sent).toBe(1)
})

test('what the store will never take is dead with its reason, and what comes after it is sent', async () => {
  const current = await begin({
    closePullRequest: async () => closed,
    merge: async () => ({ kind: 'merged', commit: 'd'.repeat(40) }) as Awaited<ReturnType<Forge['merge']>>,
  })
  await current.start()
  await waitForEffect(current, await enqueue(current, 'close_pull_request'))
  const merge = await waitForEffect(current, await enqueue(current, 'merge_pull_request'))
  expect([merge.status, merge.reason]).toEqual(['dead', 'forge_failed'])
  expect(merge.detail).toContain('cannot be recorded')
})

test('a pull request that was merged where nobody saw it is merged, also when it is to be closed', async () => {
  const mergedCommit = 'd'.repeat(40)
  const current = await begin({
    closePullRequest: async () => ({ ...closed, status: 'merged', headCommit: 'c'.repeat(40), mergedCommit }),
  })
  await current.start()
  await waitForEffect(current, await enqueue(current, 'close_pull_request'))
  const found = await current.store.read.findPullRequest({ pullRequestId: current.pullRequest.id })
  expect(found).toMatchObject({ status: 'merged', mergeCommit: mergedCommit })
})

test('publishing again what was merged in between changes nothing', async () => {
  const current = await begin({
    merge: async () => ({ kind: 'merged', commit: 'd'.repeat(40) }) as Awaited<ReturnType<Forge['merge']>>,
  })
  await current.start()
  await waitForEffect(current, await enqueue(current, 'merge_pull_request'))
  const before = await current.store.read.findPullRequest({ pullRequestId: current.pullRequest.id })
  const {
    id: _,
    status: __,
    mergeCommit: ___,
    reviewState: ____,
    createdAt,
    updatedAt,
    mergedAt,
    ...input
  } = current.pullRequest
  const again = await current.store.write.upsertPullRequest(input)
  expect(again).toEqual(before)
  const moved = { ...input, headCommit: 'e'.repeat(40) }
  await expect(current.store.write.upsertPullRequest(moved)).rejects.toThrow('is merged already')
})
