import { createTicketSpec } from '../../rest-schema/operations/tickets.ts'
import type { Store } from '../../store/contract.ts'
import { getProject, getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { toTicketBody } from '../ticket-body.ts'
import { withoutUndefined } from '../without-undefined.ts'

export type CreateTicketDeps = { readonly store: Pick<Store, 'read'>; readonly control: { wake(): void } }

export function createTicket({ store, control }: CreateTicketDeps) {
  return operation(createTicketSpec, async ({ body, caller, change }) => {
    const { project: projectRef, dependsOn = [], notBefore, ...fields } = body
    const project = await getProject(store.read, projectRef)
    const dependencies = await Promise.all(dependsOn.map((ref) => getTicket(store.read, ref)))
    return await change(async (write) => {
      const ticket = await write.createTicket({
        ...withoutUndefined(fields),
        projectId: project.id,
        dependsOn: dependencies.map(({ id }) => id),
        ...(notBefore === undefined ? {} : { notBefore: Date.parse(notBefore) }),
        actor: caller.actor,
      })
      return {
        status: 201,
        body: toTicketBody(ticket),
        version: ticket.version,
        after: () => control.wake(),
      }
    })
  })
}
