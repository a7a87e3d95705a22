import type { JsonObject } from '../../domain/json.ts'
import { toJson } from '../rows.ts'
import type { Tx } from '../transaction.ts'

export async function addAudit(
  tx: Tx,
  input: { actor: string; action: string; subject: string; data: JsonObject },
): Promise<void> {
  await tx.db
    .insertInto('audit')
    .values({
      at: tx.now,
      actor: input.actor,
      action: input.action,
      subject: input.subject,
      data: toJson(input.data),
    })
    .execute()
}
