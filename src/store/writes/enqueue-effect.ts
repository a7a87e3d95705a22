import type { Effect } from '../../domain/effect.ts'
import { toEffect } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { type EnqueueEffectInput, insertEffect } from './insert-effect.ts'
import { getTicketRow } from './move-ticket.ts'

export async function enqueueEffect(tx: Tx, input: EnqueueEffectInput): Promise<Effect> {
  await getTicketRow(tx, input.ticketId)
  return toEffect(await insertEffect(tx, input))
}
