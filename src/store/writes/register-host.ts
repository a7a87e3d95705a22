import type { Host } from '../../domain/records.ts'
import { toHost } from '../rows.ts'
import type { Tx } from '../transaction.ts'

/** A start of the coordinator on this host: the host's row stays, its holder is new. */
export async function registerHost(
  tx: Tx,
  input: Pick<Host, 'name' | 'holder' | 'pid' | 'bootId' | 'slotCount'>,
): Promise<Host> {
  const started = {
    holder: input.holder,
    pid: input.pid,
    boot_id: input.bootId,
    slot_count: input.slotCount,
    started_at: tx.now,
    last_seen_at: tx.now,
    stopped_at: null,
  }
  const row = await tx.db
    .insertInto('hosts')
    .values({ id: tx.newId('host'), name: input.name, ...started })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(started))
    .returningAll()
    .executeTakeFirstOrThrow()
  tx.emit({
    type: 'host.started',
    actor: 'coordinator',
    data: { hostId: row.id, name: row.name, holder: row.holder, pid: row.pid },
  })
  return toHost(row)
}
