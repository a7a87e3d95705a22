import { claimNextTicketSpec } from '../../rest-schema/operations/tickets.ts'
import { toHolder } from '../caller.ts'
import { getProject } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toClaimBody } from '../runs/claim-body.ts'
import { withoutUndefined } from '../without-undefined.ts'
import { type GiveOutDeps, giveOutClaim } from './give-out-claim.ts'

export function claimNextTicket(deps: GiveOutDeps) {
  return operation(claimNextTicketSpec, async ({ body, caller, change }) => {
    const project = body.project === undefined ? undefined : await getProject(deps.store.read, body.project)
    const input = {
      holder: toHolder(caller, body.holder),
      leaseTtlMs: body.leaseTtlMs,
      ...withoutUndefined({ projectId: project?.id, labels: body.labels, types: body.types }),
    }
    return await giveOutClaim(deps, change, input, {
      toAnswer: (claim) =>
        claim === undefined
          ? { status: 204 as const }
          : { status: 200 as const, body: toClaimBody(claim, body.holder) },
    })
  })
}
