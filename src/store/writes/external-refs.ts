import { type RefData, type Row, toJson, toRefData } from '../rows.ts'
import type { Tx } from '../transaction.ts'

export async function insertRef(tx: Tx, ticket: Row<'tickets'>, data: RefData): Promise<void> {
  const { tracker, externalId } = nameOf(ticket)
  await tx.db
    .insertInto('external_refs')
    .values({
      tracker,
      external_id: externalId,
      ticket_id: ticket.id,
      data: toJson(data),
      created_at: tx.now,
      updated_at: tx.now,
    })
    .execute()
}

/** Notes what is known of a mirrored ticket there. @returns whether anything changed */
export async function changeRef(
  tx: Tx,
  ticket: Row<'tickets'>,
  changes: { readonly [Name in keyof RefData]?: RefData[Name] | undefined },
): Promise<boolean> {
  const { tracker, externalId } = nameOf(ticket)
  const row = await tx.db
    .selectFrom('external_refs')
    .selectAll()
    .where('tracker', '=', tracker)
    .where('external_id', '=', externalId)
    .executeTakeFirstOrThrow()
  const before = toRefData(row)
  const after: RefData = {
    word: changes.word ?? before.word,
    standing: changes.standing ?? before.standing,
    digest: changes.digest ?? before.digest,
  }
  const data = toJson(after)
  if (data === row.data) return false
  await tx.db
    .updateTable('external_refs')
    .set({ data, updated_at: tx.now })
    .where('tracker', '=', tracker)
    .where('external_id', '=', externalId)
    .execute()
  return true
}

function nameOf(ticket: Row<'tickets'>): { tracker: string; externalId: string } {
  const { tracker, external_id: externalId } = ticket
  if (tracker === null || externalId === null) throw new Error(`ticket ${ticket.key} is of no tracker`)
  return { tracker, externalId }
}
