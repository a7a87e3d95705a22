import type { HostId } from '../../domain/id.ts'
import { NotFoundError } from '../errors.ts'
import type { Tx } from '../transaction.ts'

export async function touchHost(tx: Tx, input: { hostId: HostId }): Promise<void> {
  const touched = await tx.db
    .updateTable('hosts')
    .set({ last_seen_at: tx.now })
    .where('id', '=', input.hostId)
    .returning('id')
    .executeTakeFirst()
  if (touched === undefined) throw new NotFoundError('host', input.hostId)
}
