import type { FakeBoard } from '../../../src/tracker/fake/create-fake-tracker.ts'
import { Violation } from './observer.ts'
import type { Sql } from './simulated-store.ts'

/** What is not at rest yet, in words. */
export async function listUnsettled(sql: Sql): Promise<readonly string[]> {
  const rows = await sql(
    `select 'ticket ' || key || ' is ' || status as what from tickets
       where status in ('draft', 'pending', 'running', 'waiting', 'review')
     union all
     select 'ticket ' || key || ' is blocked by nothing' from tickets where status = 'blocked' and reason is null
     union all
     select 'run of ' || ticket_id || ' is ' || status from runs where status in ('queued', 'running', 'waiting')
     union all
     select 'effect ' || key || ' is ' || status from effects where status in ('pending', 'sending')`,
  )
  return rows.map(({ what }) => String(what))
}

/** What must be true when everything has come to rest. @throws Violation */
export async function checkEnd(sql: Sql, board: FakeBoard): Promise<void> {
  const waits = await sql('select id from waits where resolved_at is null')
  if (waits.length > 0) throw new Violation('P8: nothing waits at the end', JSON.stringify(waits))
  const [tokens] = await sql('select count(*) as count from tokens where revoked_at is null')
  if (Number(tokens?.count) > 0)
    throw new Violation('U17: no credential outlives its run', `${tokens?.count} tokens`)
  await checkTracker(sql, board)
}

/** U9: what was decided about a ticket stands in its tracker, whatever happened to those who carried it there. */
async function checkTracker(sql: Sql, board: FakeBoard): Promise<void> {
  const tickets = await sql(
    `select t.key, t.status, t.reason, t.external_id from tickets t where t.external_id is not null`,
  )
  for (const { key, status, reason, external_id } of tickets) {
    if (status === 'blocked') continue
    const there = board.find(String(external_id))?.word ?? 'pending'
    if (there !== status) {
      throw new Violation(
        'U9: what was decided is told',
        `${key} is ${status} (${reason}); its tracker says ${there}`,
      )
    }
  }
}
