import type { HostId } from '../../domain/id.ts'
import { NotFoundError } from '../errors.ts'
import type { Tx } from '../transaction.ts'

export async function stopHost(tx: Tx, input: { hostId: HostId }): Promise<void> {
  const stopped = await tx.db
    .updateTable('hosts')
    .set({ stopped_at: tx.now, last_seen_at: tx.now })
    .where('id', '=', input.hostId)
    .returning(['id', 'name', 'holder'])
    .executeTakeFirst()
  if (stopped === undefined) throw new NotFoundError('host', input.hostId)
  tx.emit({
    type: 'host.stopped',
    actor: 'coordinator',
    data: { hostId: stopped.id, name: stopped.name, holder: stopped.holder },
  })
}
