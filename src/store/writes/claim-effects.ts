import { type SqlBool, sql } from 'kysely'
import type { Effect } from '../../domain/effect.ts'
import type { EffectStatus } from '../../domain/status.ts'
import { prepareQuery } from '../prepared-query.ts'
import { toEffect } from '../rows.ts'
import type { Tx } from '../transaction.ts'

/**
 * An effect is due when its time has come and none before it of the same ticket is unsent: the outside world
 * sees a ticket's effects in the order in which they were decided. What is written back to a tracker has an order of
 * its own: a tracker that cannot be reached holds up no pull request.
 */
export async function claimEffects(
  tx: Tx,
  input: { countMax: number; holder?: string },
): Promise<readonly Effect[]> {
  const due = await selectDue(tx, { now: tx.now, countMax: input.countMax })
  if (due.length === 0) return []
  const claimed = await tx.db
    .updateTable('effects')
    .set((eb) => ({
      status: 'sending',
      sender: input.holder ?? null,
      attempt_count: eb('attempt_count', '+', 1),
    }))
    .where(
      'seq',
      'in',
      due.map((row) => row.seq),
    )
    .where('status', '=', 'pending')
    .returningAll()
    .execute()
  return claimed.toSorted((a, b) => a.seq - b.seq).map(toEffect)
}

const selectDue = prepareQuery(
  ({ db, dialect }, { now, countMax }: { readonly now: number; readonly countMax: number }) =>
    db
      .selectFrom('effects as e')
      .select('e.seq')
      .where('e.status', '=', sql.lit('pending'))
      .where('e.not_before', '<=', now)
      .where((eb) =>
        eb.not(
          eb.exists(
            eb
              .selectFrom('effects as before')
              .select('before.seq')
              .whereRef('before.ticket_id', '=', 'e.ticket_id')
              .where('before.status', 'in', [
                sql.lit<EffectStatus>('pending'),
                sql.lit<EffectStatus>('sending'),
              ])
              .where(sql<SqlBool>`(before.kind = 'write_back_ticket') = (e.kind = 'write_back_ticket')`)
              .where((inner) =>
                inner.or([
                  inner('before.seq', '<', inner.ref('e.seq')),
                  inner('before.status', '=', sql.lit('sending')),
                ]),
              ),
          ),
        ),
      )
      .orderBy('e.seq')
      .limit(countMax)
      .$if(dialect.supportsSkipLocked, (query) => query.forNoKeyUpdate().skipLocked()),
)
