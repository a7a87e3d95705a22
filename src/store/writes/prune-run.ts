import type { StoreWriter } from '../contract.ts'
import type { Tx } from '../transaction.ts'

/**
 * Removes a part of what an ended run left, leaves of the tree first and steps last, so that no row ever names one
 * that is gone, and a run that was left half-way is still found by its steps.
 */
export async function pruneRun(
  tx: Tx,
  input: Parameters<StoreWriter['pruneRun']>[0],
): Promise<{ rowCount: number; isDone: boolean }> {
  const { runId, countMax } = input
  if (!(await isOver(tx, input))) return { rowCount: 0, isDone: true }
  let left = countMax
  for (const table of ['sandboxes', 'artifacts', 'waits', 'agent_sessions', 'tokens'] as const) {
    left -= await removeById(tx, table, runId, left)
  }
  left -= await removeSignals(tx, runId, left)
  left -= await removeEffects(tx, runId, left)
  if (left > 0) left -= await foldUsage(tx, runId)
  for (const table of ['attempts', 'steps'] as const) left -= await removeById(tx, table, runId, left)
  return { rowCount: countMax - left, isDone: left > 0 }
}

type RunId = Parameters<StoreWriter['pruneRun']>[0]['runId']

/** Asked in the transaction that removes: a person may have put the ticket back since it was listed. */
async function isOver(
  { db, dialect }: Tx,
  { runId, endedBefore }: Parameters<StoreWriter['pruneRun']>[0],
): Promise<boolean> {
  const row = await db
    .selectFrom('tickets as t')
    .innerJoin('runs as r', 'r.ticket_id', 't.id')
    .select('t.id')
    .where('r.id', '=', runId)
    .where('t.finished_at', '<', endedBefore)
    .where('r.finished_at', '<', endedBefore)
    .$if(dialect.supportsSkipLocked, (query) => query.forNoKeyUpdate('t'))
    .executeTakeFirst()
  if (row === undefined) return false
  const live = await db
    .selectFrom('sandboxes')
    .select('id')
    .where('run_id', '=', runId)
    .where('status', 'in', ['creating', 'ready', 'stopping'])
    .limit(1)
    .executeTakeFirst()
  return live === undefined
}

type TableWithId = 'sandboxes' | 'artifacts' | 'waits' | 'agent_sessions' | 'tokens' | 'attempts' | 'steps'

async function removeById({ db }: Tx, table: TableWithId, runId: RunId, countMax: number): Promise<number> {
  if (countMax <= 0) return 0
  // The tables differ in their identifiers' brands only.
  const same = table as 'waits'
  const { numDeletedRows } = await db
    .deleteFrom(same)
    .where('id', 'in', (query) =>
      query.selectFrom(same).select('id').where('run_id', '=', runId).orderBy('id').limit(countMax),
    )
    .executeTakeFirst()
  return Number(numDeletedRows)
}

async function removeSignals({ db }: Tx, runId: RunId, countMax: number): Promise<number> {
  if (countMax <= 0) return 0
  const { numDeletedRows } = await db
    .deleteFrom('signals')
    .where('seq', 'in', (query) =>
      query.selectFrom('signals').select('seq').where('run_id', '=', runId).orderBy('seq').limit(countMax),
    )
    .executeTakeFirst()
  return Number(numDeletedRows)
}

/** What was sent goes; what was given up stays for the person who looks after it, without its step. */
async function removeEffects({ db }: Tx, runId: RunId, countMax: number): Promise<number> {
  if (countMax <= 0) return 0
  const { numDeletedRows } = await db
    .deleteFrom('effects')
    .where('seq', 'in', (query) =>
      query
        .selectFrom('effects')
        .innerJoin('runs', 'runs.ticket_id', 'effects.ticket_id')
        .select('effects.seq')
        .where('runs.id', '=', runId)
        .where('effects.run_id', '=', runId)
        .where('effects.status', '=', 'done')
        .orderBy('effects.seq')
        .limit(countMax),
    )
    .executeTakeFirst()
  await db
    .updateTable('effects')
    .set({ step_instance_id: null })
    .where('ticket_id', '=', (query) => query.selectFrom('runs').select('ticket_id').where('id', '=', runId))
    .where('run_id', '=', runId)
    .where('step_instance_id', 'is not', null)
    .execute()
  return Number(numDeletedRows)
}

/** What was spent is kept: one row for each model instead of one for each attempt. */
async function foldUsage({ db }: Tx, runId: RunId): Promise<number> {
  const steps = await db
    .selectFrom('usage')
    .select((eb) => eb.fn.countAll().as('count'))
    .where('run_id', '=', runId)
    .where('step_instance_id', 'is not', null)
    .executeTakeFirst()
  if (Number(steps?.count ?? 0) === 0) return 0
  const sums = await db
    .selectFrom('usage')
    .select((eb) => [
      'model',
      eb.fn.sum('input_token_count').as('input_token_count'),
      eb.fn.sum('output_token_count').as('output_token_count'),
      eb.fn.sum('cost_micro_usd').as('cost_micro_usd'),
      eb.fn.sum('duration_ms').as('duration_ms'),
      eb.fn.max('created_at').as('created_at'),
    ])
    .where('run_id', '=', runId)
    .groupBy('model')
    .execute()
  const { numDeletedRows } = await db.deleteFrom('usage').where('run_id', '=', runId).executeTakeFirst()
  const rows = sums.map((sum) => ({
    run_id: runId,
    step_instance_id: null,
    attempt: null,
    model: sum.model,
    input_token_count: Number(sum.input_token_count),
    output_token_count: Number(sum.output_token_count),
    cost_micro_usd: sum.cost_micro_usd === null ? null : Number(sum.cost_micro_usd),
    duration_ms: Number(sum.duration_ms),
    created_at: Number(sum.created_at),
  }))
  await db.insertInto('usage').values(rows).execute()
  return Number(numDeletedRows)
}
