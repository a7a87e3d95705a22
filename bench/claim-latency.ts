import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Project } from '../src/domain/project.ts'
import type { Store } from '../src/store/contract.ts'
import { openSqliteStore } from '../src/store/sqlite/sqlite-store.ts'
import { queueOthers } from './queue-others.ts'
import type { Sample } from './sample.ts'

export type ClaimLatency = {
  /** The claim alone */
  readonly claim: Sample
  /** Creating the ticket and claiming it */
  readonly createToClaimed: Sample
}

const WARM_UP_COUNT = 20

/**
 * Claims from the store itself: with nothing else queued and with many pending tickets of a lower priority, all of
 * which could be claimed just as well. The two take turns, so that what the machine does meanwhile is in both.
 */
export async function measureClaims(input: {
  directory: string
  count: number
  queuedCount: number
}): Promise<{ empty: ClaimLatency; full: ClaimLatency }> {
  const empty = await openQueue(join(input.directory, 'claims-empty.db'), 0)
  const full = await openQueue(join(input.directory, 'claims-full.db'), input.queuedCount)
  try {
    for (let i = 0; i < WARM_UP_COUNT; i++) for (const queue of [empty, full]) await claimOne(queue)
    for (const queue of [empty, full]) queue.marks.length = 0
    for (let i = 0; i < input.count; i++) for (const queue of [empty, full]) await claimOne(queue)
    return { empty: toLatency(empty), full: toLatency(full) }
  } finally {
    await empty.store.close()
    await full.store.close()
  }
}

type Queue = {
  readonly store: Store
  readonly project: Project
  readonly marks: { readonly claimMs: number; readonly totalMs: number }[]
}

async function openQueue(path: string, queuedCount: number): Promise<Queue> {
  const open = () => openSqliteStore({ path, clock: { now: () => Date.now() }, randomBytes })
  const first = await open()
  const project = await first.write.createProject({ key: 'CLAIM', name: 'Claims', actor: 'bench' })
  await first.close()
  await queueOthers({ path, open, projectId: project.id, count: queuedCount, notBefore: 0 })
  return { store: await open(), project, marks: [] }
}

async function claimOne({ store, project, marks }: Queue): Promise<void> {
  const startedAt = performance.now()
  const input = { projectId: project.id, title: 'measured', priority: 1, actor: 'bench' }
  const ticket = await store.write.createTicket(input)
  const createdAt = performance.now()
  const claim = await store.write.claimNext({ holder: 'bench', leaseTtlMs: 3_600_000 })
  const claimedAt = performance.now()
  if (claim?.ticket.id !== ticket.id) throw new Error('another ticket than the measured one was claimed')
  marks.push({ claimMs: claimedAt - createdAt, totalMs: claimedAt - startedAt })
}

function toLatency({ marks }: Queue): ClaimLatency {
  return {
    claim: marks.map(({ claimMs }) => claimMs),
    createToClaimed: marks.map(({ totalMs }) => totalMs),
  }
}
