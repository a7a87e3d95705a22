import { createHash } from 'node:crypto'
import type { MirroredTicket, MirrorResult, MirrorTicketsInput } from '../contract.ts'
import { type RefData, type Row, toJson, toRefData } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { insertNewTicket } from './create-ticket.ts'
import { changeRef, insertRef } from './external-refs.ts'
import { getTicketRow } from './move-ticket.ts'
import { beginAnew } from './retry-ticket.ts'
import { updateTicket } from './update-ticket.ts'

export async function mirrorTickets(tx: Tx, input: MirrorTicketsInput): Promise<readonly MirrorResult[]> {
  const known = await findKnownAlone(tx, input)
  const results: MirrorResult[] = []
  for (const ticket of input.tickets) {
    const ref = known.get(ticket.externalId)
    const result = ref === undefined ? await create(tx, input, ticket) : await update(tx, input, ticket, ref)
    results.push({ externalId: ticket.externalId, ...result })
  }
  return results
}

type Result = Omit<MirrorResult, 'externalId'>

/** What is known already; where something is not, nobody else of this tracker makes it at the same time. */
async function findKnownAlone(tx: Tx, input: MirrorTicketsInput): Promise<Map<string, Known>> {
  const known = await findKnown(tx, input)
  if (!tx.dialect.supportsSkipLocked || known.size === input.tickets.length) return known
  await enterMirror(tx, input.tracker)
  return await findKnown(tx, input)
}

async function enterMirror(tx: Tx, tracker: string): Promise<void> {
  await tx.db
    .insertInto('counters')
    .values({ name: `mirror/${tracker}`, value: 1 })
    .onConflict((conflict) =>
      // Locked, not changed.
      conflict.column('name').doUpdateSet((eb) => ({ value: eb.ref('counters.value') })),
    )
    .execute()
}

type Known = Row<'external_refs'> & { readonly key: string }

async function findKnown(tx: Tx, input: MirrorTicketsInput): Promise<Map<string, Known>> {
  if (input.tickets.length === 0) return new Map()
  const rows = await tx.db
    .selectFrom('external_refs as r')
    .innerJoin('tickets as t', 't.id', 'r.ticket_id')
    .selectAll('r')
    .select('t.key')
    .where('r.tracker', '=', input.tracker)
    .where(
      'r.external_id',
      'in',
      input.tickets.map((ticket) => ticket.externalId),
    )
    .execute()
  return new Map(rows.map((row) => [row.external_id, row]))
}

async function create(tx: Tx, input: MirrorTicketsInput, ticket: MirroredTicket): Promise<Result> {
  const { tracker, projectId, actor } = input
  const { word, externalId, createdAt, ...content } = ticket
  const row = await insertNewTicket(tx, {
    ...content,
    projectId,
    actor,
    origin: { tracker, externalId, createdAt: Math.max(0, Math.min(createdAt ?? tx.now, tx.now)) },
  })
  await insertRef(tx, row, { word, standing: 'open', digest: toDigest(ticket) })
  return { kind: 'created', ticketId: row.id, key: row.key }
}

async function update(tx: Tx, input: MirrorTicketsInput, there: MirroredTicket, row: Known): Promise<Result> {
  const ref = toRefData(row)
  const seen: RefData = { word: there.word, standing: 'open', digest: toDigest(there) }
  const result = (kind: MirrorResult['kind']): Result => ({ kind, ticketId: row.ticket_id, key: row.key })
  const isSame = ref.standing === 'open' && ref.word === seen.word && ref.digest === seen.digest
  if (isSame) return result('unchanged')
  // What we did after the tracker was read is not undone by what was read.
  if (row.updated_at >= input.readAt) return result('held')

  const ticket = await getTicketRow(tx, row.ticket_id)
  switch (ticket.status) {
    case 'draft':
    case 'pending':
    case 'blocked':
      await changeRef(tx, ticket, seen)
      if (ref.digest === seen.digest) return result('unchanged')
      await takeOverContent(tx, input, there, ticket)
      return result('updated')
    case 'failed':
    case 'canceled':
      // Ended here before anybody began there: that is no reason to begin.
      if (ref.standing === 'open') return result('unchanged')
      await changeRef(tx, ticket, seen)
      if (ref.digest !== seen.digest) await takeOverContent(tx, input, there, ticket)
      await beginAnew(tx, await getTicketRow(tx, ticket.id), input.actor)
      return result('requeued')
    case 'done':
      return result(ref.standing === 'open' ? 'unchanged' : 'done_here')
    default:
      return result('held')
  }
}

/** What people changed here stays until something changes there. */
async function takeOverContent(
  tx: Tx,
  { actor }: MirrorTicketsInput,
  there: MirroredTicket,
  ticket: Row<'tickets'>,
): Promise<void> {
  const { word: _word, externalId: _externalId, createdAt: _createdAt, ...changes } = there
  await updateTicket(tx, { ticketId: ticket.id, changes, actor })
}

function toDigest(ticket: MirroredTicket): string {
  const { title, body, type, labels, priority, workflow, agent, inputs } = ticket
  const content = toJson([title, body, type, labels, priority, workflow, agent, inputs])
  return createHash('sha256').update(content).digest('hex')
}
