import { sql } from 'kysely'
import { listStatuses, type StatusOf } from '../../domain/status.ts'
import type { StoreFigures } from '../contract.ts'
import { isNotExternal } from '../writes/claim-order.ts'
import type { ReadContext } from './read.ts'
import { isUntold } from './untold.ts'

export async function getFigures(context: ReadContext): Promise<StoreFigures> {
  const { db } = context
  const tickets = await db
    .selectFrom('tickets')
    .select(['status', (eb) => eb.fn.countAll<number>().as('count')])
    .groupBy('status')
    .execute()
  const runs = await db
    .selectFrom('runs')
    .select(['status', (eb) => eb.fn.countAll<number>().as('count')])
    .groupBy('status')
    .execute()
  const effects = await db
    .selectFrom('effects')
    .select(['status', (eb) => eb.fn.countAll<number>().as('count')])
    .where('status', 'in', ['pending', 'sending'])
    .groupBy('status')
    .execute()
  const last = await db
    .selectFrom('events')
    .select((eb) => eb.fn.max('seq').as('seq'))
    .executeTakeFirst()
  const dead = await db
    .selectFrom('effects as e')
    .innerJoin('tickets as t', 't.id', 'e.ticket_id')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('e.status', '=', 'dead')
    // What was given up because nobody wants it any more, or was made good since, waits for no person.
    .where('e.reason', '<>', 'parent_ended')
    .where((eb) =>
      eb.or([
        isUntold(),
        eb.and([eb('e.kind', '<>', 'write_back_ticket'), eb('t.status', 'not in', ['done', 'canceled'])]),
      ]),
    )
    .executeTakeFirst()
  const countOf = (status: string) => Number(effects.find((row) => row.status === status)?.count ?? 0)
  return {
    ticketCounts: countEach('ticket', tickets),
    runCounts: countEach('run', runs),
    oldestClaimableAgeMs: await findOldestAge(context),
    deadEffectCount: Number(dead?.count ?? 0),
    pendingEffectCount: countOf('pending') + countOf('sending'),
    lastEventSeq: context.finalSeq ?? last?.seq ?? 0,
  }
}

/** Age since it could have been claimed, not since it was created: a requeued ticket is not old. */
async function findOldestAge({ db, now }: ReadContext): Promise<number | null> {
  const { rows } = await sql<{ at: number | null }>`
    select min(at) as at from (
      select case when not_before > queued_at then not_before else queued_at end as at
        from tickets where status = 'pending' and not_before <= ${now} and ${isNotExternal('workflow')}
      union all
      select case when not_before > queued_at then not_before else queued_at end
        from runs where status = 'queued' and not_before <= ${now}
    ) as claimable`.execute(db)
  const at = rows[0]?.at ?? null
  return at === null ? null : Math.max(0, now - at)
}

function countEach<T extends 'ticket' | 'run'>(
  thing: T,
  rows: readonly { status: string; count: number }[],
): Record<StatusOf<T>, number> {
  const counts = new Map(rows.map((row) => [row.status, Number(row.count)]))
  const entries = listStatuses(thing).map((status) => [status, counts.get(status) ?? 0] as const)
  return Object.fromEntries(entries) as Record<StatusOf<T>, number>
}
