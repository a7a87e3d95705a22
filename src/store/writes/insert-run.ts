import type { Insertable } from 'kysely'
import type { TicketId } from '../../domain/id.ts'
import { prepareInsert, prepareQuery } from '../prepared-query.ts'
import type { Row } from '../rows.ts'
import type { RunsTable } from '../schema.ts'
import type { Tx } from '../transaction.ts'
import { placeOf } from './claim-order.ts'

/** A further run of the ticket, with the next number; what is not named is empty. */
export async function insertRun(
  tx: Tx,
  ticket: Row<'tickets'>,
  values: Pick<Insertable<RunsTable>, 'status'> & Partial<Insertable<RunsTable>>,
): Promise<Row<'runs'>> {
  return await insertRow(tx, {
    id: tx.newId('run'),
    ticket_id: ticket.id,
    number: (await findLastNumber(tx, ticket.id)) + 1,
    reason: null,
    detail: null,
    workflow_id: null,
    workflow: null,
    inputs: '{}',
    outputs: null,
    pins: null,
    parent_step_instance_id: null,
    not_before: 0,
    lease_holder: null,
    lease_expires_at: null,
    lease_epoch: 0,
    finished_by: null,
    cancel_requested_at: null,
    cancel_reason: null,
    cancel_detail: null,
    ...placeOf(ticket),
    queued_at: tx.now,
    created_at: tx.now,
    started_at: null,
    finished_at: null,
    ...values,
  })
}

const insertRow = prepareInsert('runs')

async function findLastNumber(tx: Tx, ticketId: TicketId): Promise<number> {
  const [row] = await selectLastNumber(tx, { ticketId })
  return row?.number ?? 0
}

const selectLastNumber = prepareQuery(({ db }, { ticketId }: { readonly ticketId: TicketId }) =>
  db
    .selectFrom('runs')
    .select((eb) => eb.fn.max('number').as('number'))
    .where('ticket_id', '=', ticketId),
)
