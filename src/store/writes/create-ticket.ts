import type { ProjectId, TicketId } from '../../domain/id.ts'
import { PRIORITY_DEFAULT, type Ticket } from '../../domain/ticket.ts'
import type { CreateTicketInput } from '../contract.ts'
import { NotFoundError } from '../errors.ts'
import { prepareInsert, prepareQuery } from '../prepared-query.ts'
import { type Row, toJson, toTicket } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { moveTicket } from './move-ticket.ts'
import { emitBlock, findBlock } from './queue-ticket.ts'
import { enterDependencyGraph, setDependencies, setLabels } from './ticket-parts.ts'

export async function createTicket(tx: Tx, input: CreateTicketInput): Promise<Ticket> {
  return toTicket(await insertNewTicket(tx, input))
}

/** Where a ticket that is not our own comes from. */
export type Origin = {
  readonly tracker: string
  readonly externalId: string
  /** Its age there, `ms` since the epoch */
  readonly createdAt: number
}

type NewTicket = CreateTicketInput & { readonly origin?: Origin }

export async function insertNewTicket(tx: Tx, input: NewTicket): Promise<Row<'tickets'>> {
  const id = tx.newId('ticket')
  const labels = [...new Set(input.labels ?? [])]
  const dependsOn = input.dependsOn ?? []
  const created = await insertTicket(tx, id, input, labels)
  await setLabels(tx, id, labels)
  tx.emit({
    type: 'ticket.created',
    actor: input.actor,
    ticketId: id,
    data: {
      key: created.key,
      title: created.title,
      type: created.type,
      priority: created.priority,
      ...(input.origin === undefined ? {} : { tracker: created.tracker, externalId: created.external_id }),
    },
  })
  if (dependsOn.length === 0) return created

  await enterDependencyGraph(tx)
  await setDependencies(tx, created, dependsOn)
  if (input.isDraft === true) return created
  const block = await findBlock(tx, id)
  if (block === undefined) return created
  emitBlock(tx, id, block)
  return await moveTicket(tx, created, 'blocked', block)
}

async function insertTicket(
  tx: Tx,
  id: TicketId,
  input: NewTicket,
  labels: readonly string[],
): Promise<Row<'tickets'>> {
  const [project] = await countTicket(tx, { projectId: input.projectId })
  if (project === undefined) throw new NotFoundError('project', input.projectId)
  return await insertTicketRow(tx, {
    id,
    project_id: input.projectId,
    key: `${project.key}-${project.ticket_count}`,
    number: project.ticket_count,
    title: input.title,
    body: input.body ?? '',
    type: input.type ?? '',
    labels: toJson(labels),
    priority: input.priority ?? PRIORITY_DEFAULT,
    status: input.isDraft === true ? 'draft' : 'pending',
    reason: null,
    detail: null,
    workflow: input.workflow ?? null,
    agent: input.agent ?? null,
    inputs: toJson(input.inputs ?? {}),
    outputs: null,
    not_before: input.notBefore ?? 0,
    queued_at: tx.now,
    run_count: 0,
    current_run_id: null,
    branch: null,
    pull_request_id: null,
    dead_at: null,
    created_by: input.actor,
    created_at: input.origin?.createdAt ?? tx.now,
    updated_at: tx.now,
    finished_at: null,
    version: 1,
    tracker: input.origin?.tracker ?? null,
    external_id: input.origin?.externalId ?? null,
  })
}

const countTicket = prepareQuery(({ db }, { projectId }: { readonly projectId: ProjectId }) =>
  db
    .updateTable('projects')
    .set((eb) => ({ ticket_count: eb('ticket_count', '+', 1) }))
    .where('id', '=', projectId)
    .returning(['key', 'ticket_count']),
)

const insertTicketRow = prepareInsert('tickets')
