import { sql } from 'kysely'
import type { ReadContext } from './read.ts'

/** Only what lies ahead: what is due already needs no timer. */
export async function findNextDueAt({ db, now }: ReadContext): Promise<number | undefined> {
  const { rows } = await sql<{ at: number | null }>`
    select min(at) as at from (
      select min(not_before) as at from tickets where status = 'pending' and not_before > ${now}
      union all select min(not_before) from runs where status = 'queued' and not_before > ${now}
      union all select min(lease_expires_at) from runs where status = 'running' and lease_expires_at > ${now}
      union all select min(not_before) from effects where status = 'pending' and not_before > ${now}
      union all select min(deadline_at) from waits where resolved_at is null and deadline_at > ${now}
    ) as due`.execute(db)
  return rows[0]?.at ?? undefined
}
