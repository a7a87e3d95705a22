import type { LeaseProof } from '../../../src/domain/run.ts'
import type { Store } from '../../../src/store/contract.ts'
import { StoreError } from '../../../src/store/errors.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { Process, VirtualTime } from './virtual-time.ts'

const LEASE_TTL_MS = 1_500
const HEARTBEAT_MS = 450
const POLL_MS = 1_000

/** An outside agent: claims, keeps its lease, completes. Straight on the store, as the routes of the API do it. */
export async function actAsOutsideAgent(deps: {
  process: Process
  store: Store
  time: VirtualTime
  random: SeededRandom
}): Promise<void> {
  const { process, store, time, random } = deps
  const holder = process.name
  for (;;) {
    await time.pass(process, random.integer(1, POLL_MS))
    try {
      const claim = await store.write.claimTicket({ holder, leaseTtlMs: LEASE_TTL_MS })
      if (claim === undefined) continue
      const proof = { runId: claim.run.id, holder, epoch: claim.run.lease.epoch }
      if (await work(deps, proof)) await complete(deps, proof)
    } catch (error) {
      // Somebody else has it by now, or a person ended it.
      if (!(error instanceof StoreError)) throw error
    }
  }
}

/** @returns whether it is still ours */
async function work(
  { process, store, time, random }: Parameters<typeof actAsOutsideAgent>[0],
  { runId, holder, epoch }: LeaseProof,
): Promise<boolean> {
  for (let left = random.integer(0, 3); left > 0; left--) {
    await time.pass(process, HEARTBEAT_MS)
    const runs = [{ runId, epoch }]
    const { lost } = await store.write.renewLeases({ holder, leaseTtlMs: LEASE_TTL_MS, runs })
    if (lost.length > 0) return false
  }
  return true
}

async function complete(
  { store, random }: Parameters<typeof actAsOutsideAgent>[0],
  proof: LeaseProof,
): Promise<void> {
  const outcome = random.chance(0.8)
    ? ({ status: 'succeeded', outputs: {}, ticket: 'done' } as const)
    : ({ status: 'failed', reason: 'agent_failed', detail: 'it gave up', ticket: { kind: 'fail' } } as const)
  await store.write.finishRun({ ...proof, outcome })
}
