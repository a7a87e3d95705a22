import type { CoordinatorControl } from '../../coordinator/control.ts'
import type { Claim, ClaimTicketInput, Store } from '../../store/contract.ts'
import { NotClaimableError } from '../../store/errors.ts'
import type { RequestWriter } from '../operation.ts'

export type GiveOutDeps = {
  readonly store: Pick<Store, 'read' | 'write'>
  readonly control: Pick<CoordinatorControl, 'takeTicket'>
}

/** How a claim becomes the answer of the request, in the request's own transaction. */
type Change<Answer> = (work: (write: RequestWriter) => Promise<Answer>) => Promise<Answer>

/** Tickets of trackers that are tried before the agent is told that there is nothing */
const TRY_COUNT_MAX = 20

/**
 * Claims for an outside agent and gives the claim out. A ticket of a tracker is taken there in between: one that
 * somebody else has is never given out, and the next one is tried.
 * @param toAnswer what the agent is told; `undefined`: there is nothing to claim
 * @param onLeft called when the ticket was left because its tracker said no; what it throws is the answer
 */
export async function giveOutClaim<Answer>(
  deps: GiveOutDeps,
  change: Change<Answer>,
  input: ClaimTicketInput,
  { toAnswer, onLeft }: { toAnswer(claim: Claim | undefined): Answer; onLeft?(detail: string): never },
): Promise<Answer> {
  for (let count = 0; count < TRY_COUNT_MAX; count++) {
    let mirrored: Claim | undefined
    try {
      return await change(async (write) => {
        const claim = await write.claimTicket(input)
        if (claim === undefined || claim.ticket.tracker === null) return toAnswer(claim)
        mirrored = claim
        // A tracker cannot be asked while the store waits for this transaction: it is left, and undone if it can be.
        throw new OfTracker()
      })
    } catch (error) {
      if (!(error instanceof OfTracker) || mirrored === undefined) throw error
    }
    const claim = await keepClaim(deps, mirrored, input)
    if (claim === undefined) continue
    const end = await deps.control.takeTicket(claim)
    if (end.kind === 'taken') return await answerTaken(deps, change, claim, toAnswer)
    onLeft?.(end.detail)
  }
  return toAnswer(undefined)
}

class OfTracker extends Error {}

/** The claim outside the request's transaction: the same where that was none, else once more. */
async function keepClaim(
  { store }: GiveOutDeps,
  claim: Claim,
  input: ClaimTicketInput,
): Promise<Claim | undefined> {
  if ((await store.read.findRun(claim.run.id)) !== undefined) return claim
  try {
    return await store.write.claimTicket({ ...input, ticketId: claim.ticket.id })
  } catch (error) {
    // Somebody was faster; where any ticket will do, another one does.
    if (error instanceof NotClaimableError && input.ticketId === undefined) return undefined
    throw error
  }
}

/** Where the same request was answered meanwhile, that answer counts and this claim is given back. */
async function answerTaken<Answer>(
  { store }: GiveOutDeps,
  change: Change<Answer>,
  claim: Claim,
  toAnswer: (claim: Claim) => Answer,
): Promise<Answer> {
  let isKept = false
  const answer = await change(async () => {
    isKept = true
    return toAnswer(claim)
  })
  if (!isKept) {
    const { id: runId, lease } = claim.run
    const detail = 'the same request was answered already'
    await store.write.releaseRun({ runId, holder: lease.holder ?? '', epoch: lease.epoch, detail })
  }
  return answer
}
