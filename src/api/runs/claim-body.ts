import type { Run } from '../../domain/run.ts'
import type { Claim } from '../../store/contract.ts'
import { toInstantOrNull } from '../instant.ts'
import { toRunBody } from '../run-body.ts'
import { toTicketBody } from '../ticket-body.ts'

/** @param holder the name the agent gave itself */
export function toClaimBody(claim: Claim, holder: string) {
  return {
    ticket: toTicketBody(claim.ticket),
    run: toRunBody(claim.run),
    lease: toLeaseBody(claim.run, holder),
  }
}

export function toLeaseBody(run: Run, holder: string) {
  return {
    holder,
    epoch: run.lease.epoch,
    expiresAt: toInstantOrNull(run.lease.expiresAt),
    isCancelRequested: run.cancelRequestedAt !== null,
  }
}
