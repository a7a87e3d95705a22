import type { AttemptId, RunId, WaitId } from '../../domain/id.ts'
import type { StoreReader } from '../contract.ts'
import { toAttempt, toProject, toRun, toStepInstance, toTicket, toWait } from '../rows.ts'
import { parseCursor, toPage, toPageSize } from './cursor.ts'
import type { ReadContext } from './read.ts'

export async function findRun({ db }: ReadContext, runId: RunId): ReturnType<StoreReader['findRun']> {
  const row = await db.selectFrom('runs').selectAll().where('id', '=', runId).executeTakeFirst()
  return row && toRun(row)
}

/** Newest first. */
export async function listRuns(
  { db }: ReadContext,
  filter: Parameters<StoreReader['listRuns']>[0],
): ReturnType<StoreReader['listRuns']> {
  const size = toPageSize(filter.countMax)
  let query = db.selectFrom('runs').selectAll()
  if (filter.ticketId !== undefined) query = query.where('ticket_id', '=', filter.ticketId)
  if (filter.statuses !== undefined) query = query.where('status', 'in', filter.statuses)
  if (filter.cursor !== undefined) {
    const { createdAt, id } = parseCursor(filter.cursor)
    query = query.where((eb) =>
      eb.or([
        eb('created_at', '<', createdAt),
        eb.and([eb('created_at', '=', createdAt), eb('id', '<', id as RunId)]),
      ]),
    )
  }
  const rows = await query
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(size + 1)
    .execute()
  return toPage(rows, size, toRun)
}

/** Several statements: the caller gives a context in which nothing changes between them. */
export async function loadRunState(
  { db }: ReadContext,
  runId: RunId,
): ReturnType<StoreReader['loadRunState']> {
  const run = await db.selectFrom('runs').selectAll().where('id', '=', runId).executeTakeFirst()
  if (run === undefined) return undefined
  const ticket = await db
    .selectFrom('tickets')
    .selectAll()
    .where('id', '=', run.ticket_id)
    .executeTakeFirstOrThrow()
  const project = await db
    .selectFrom('projects')
    .selectAll()
    .where('id', '=', ticket.project_id)
    .executeTakeFirstOrThrow()
  const instances = await db
    .selectFrom('steps')
    .selectAll()
    .where('run_id', '=', runId)
    .orderBy('ordinal')
    .execute()
  const attempts = await db
    .selectFrom('attempts as a')
    .innerJoin('steps as s', (join) =>
      join.onRef('s.id', '=', 'a.step_instance_id').onRef('s.attempt_count', '=', 'a.number'),
    )
    .selectAll('a')
    .where('a.run_id', '=', runId)
    .orderBy('s.ordinal')
    .execute()
  const waits = await db
    .selectFrom('waits')
    .selectAll()
    .where('run_id', '=', runId)
    .where('resolved_at', 'is', null)
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return {
    run: toRun(run),
    ticket: toTicket(ticket),
    project: toProject(project),
    instances: instances.map(toStepInstance),
    attempts: attempts.map(toAttempt),
    openWaits: waits.map(toWait),
  }
}

/** In the order in which they were created. */
export async function listStepInstances(
  { db }: ReadContext,
  runId: RunId,
): ReturnType<StoreReader['listStepInstances']> {
  const rows = await db
    .selectFrom('steps')
    .selectAll()
    .where('run_id', '=', runId)
    .orderBy('ordinal')
    .execute()
  return rows.map(toStepInstance)
}

/** Oldest first. */
export async function listAttempts(
  { db }: ReadContext,
  filter: Parameters<StoreReader['listAttempts']>[0],
): ReturnType<StoreReader['listAttempts']> {
  let query = db.selectFrom('attempts').selectAll()
  if (filter.runId !== undefined) query = query.where('run_id', '=', filter.runId)
  if (filter.stepInstanceId !== undefined) query = query.where('step_instance_id', '=', filter.stepInstanceId)
  const rows = await query.orderBy('started_at').orderBy('number').orderBy('id').execute()
  return rows.map(toAttempt)
}

export async function findAttempt(
  { db }: ReadContext,
  attemptId: AttemptId,
): ReturnType<StoreReader['findAttempt']> {
  const row = await db.selectFrom('attempts').selectAll().where('id', '=', attemptId).executeTakeFirst()
  return row && toAttempt(row)
}

export async function listOpenWaits(
  { db }: ReadContext,
  filter: Parameters<StoreReader['listOpenWaits']>[0],
): ReturnType<StoreReader['listOpenWaits']> {
  let query = db.selectFrom('waits').selectAll().where('resolved_at', 'is', null)
  if (filter.runId !== undefined) query = query.where('run_id', '=', filter.runId)
  if (filter.kinds !== undefined) query = query.where('kind', 'in', filter.kinds)
  const rows = await query.orderBy('created_at').orderBy('id').execute()
  return rows.map(toWait)
}

export async function findWait({ db }: ReadContext, waitId: WaitId): ReturnType<StoreReader['findWait']> {
  const row = await db.selectFrom('waits').selectAll().where('id', '=', waitId).executeTakeFirst()
  return row && toWait(row)
}
