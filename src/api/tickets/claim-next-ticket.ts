import { claimNextTicketSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { toHolder } from '../caller.ts'
import { getProject } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toClaimBody } from '../runs/claim-body.ts'
import { withoutUndefined } from '../without-undefined.ts'

export function claimNextTicket({ store }: { readonly store: Pick<Store, 'read'> }) {
  return operation(claimNextTicketSpec, async ({ body, caller, change }) => {
    const project = body.project === undefined ? undefined : await getProject(store.read, body.project)
    return await change(async (write) => {
      const claim = await write.claimTicket({
        holder: toHolder(caller, body.holder),
        leaseTtlMs: body.leaseTtlMs,
        ...withoutUndefined({ projectId: project?.id, labels: body.labels, types: body.types }),
      })
      if (claim === undefined) return { status: 204 }
      return { status: 200, body: toClaimBody(claim, body.holder) }
    })
  })
}
