import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { ProjectId, RunId } from '../../domain/id.ts'
import { EXTERNAL_WORKFLOW } from '../../domain/run.ts'
import { prepareQuery } from '../prepared-query.ts'
import type { Row } from '../rows.ts'
import type { Tx } from '../transaction.ts'

/** Place in the queue: priority, then age of the ticket, then its number, then its key. */
type Place = { readonly priority: number; readonly createdAt: number; readonly ticketNumber: number }

export type Candidate =
  | (Place & { readonly kind: 'new'; readonly ticket: Row<'tickets'> })
  | (Place & { readonly kind: 'resumed'; readonly runId: RunId })

export type TicketChoice = {
  readonly projectId?: ProjectId
  /** Every one of these is on the ticket */
  readonly labels?: readonly string[]
  readonly types?: readonly string[]
  /** A ticket that names a workflow is left to coordinators, one that names `external` to outside agents */
  readonly claimant: 'coordinator' | 'outside_agent'
}

/** The best of both queues, locked where rows can be locked. A run that was begun goes before a ticket of the same place. */
export async function findBestCandidate(tx: Tx): Promise<Candidate | undefined> {
  const run = await findBestRun(tx, 'peek')
  // Of two locked candidates the other one would be missing for whoever claims at the same moment: look, then lock.
  if (run === undefined) return await findBestNew(tx, 'lock')
  const ticket = await findBestNew(tx, 'peek')
  const isRunFirst = ticket === undefined || comparePlaces(run, ticket) <= 0
  if (!tx.dialect.supportsSkipLocked) return isRunFirst ? run : ticket
  if (isRunFirst) return (await findBestRun(tx, 'lock')) ?? (await findBestNew(tx, 'lock'))
  return (await findBestNew(tx, 'lock')) ?? (await findBestRun(tx, 'lock'))
}

async function findBestNew(tx: Tx, mode: Mode): Promise<Extract<Candidate, { kind: 'new' }> | undefined> {
  const [ticket] = await selectBestTicket[mode](tx, { now: tx.now })
  if (ticket === undefined) return undefined
  const { priority, created_at: createdAt, number: ticketNumber } = ticket
  return { kind: 'new', priority, createdAt, ticketNumber, ticket }
}

/** `lock`: the first one that nobody else is claiming, and nobody else will */
type Mode = 'peek' | 'lock'

const selectBestTicket = {
  peek: prepareQuery((base, { now }: { readonly now: number }) =>
    toTicketQuery(base, now, { claimant: 'coordinator' }),
  ),
  lock: prepareQuery((base, { now }: { readonly now: number }) =>
    lockTickets(base, toTicketQuery(base, now, { claimant: 'coordinator' })),
  ),
}

/** The first pending ticket whose time has come and that fits. */
export async function findBestTicket(tx: Tx, choice: TicketChoice): Promise<Row<'tickets'> | undefined> {
  return await lockTickets(tx, toTicketQuery(tx, tx.now, choice)).executeTakeFirst()
}

/**
 * NOTE: statuses are literals here, not parameters: a partial index is only used for a condition that the
 * database can prove when it plans.
 */
function toTicketQuery({ db }: Pick<Tx, 'db'>, now: number, choice: TicketChoice) {
  let query = db
    .selectFrom('tickets as t')
    .selectAll('t')
    .where('t.status', '=', sql.lit('pending'))
    .where(isDue('t.not_before', now))
  if (choice.claimant === 'coordinator') query = query.where(isNotExternal('t.workflow'))
  else
    query = query.where(({ or, eb }) =>
      or([eb('t.workflow', 'is', null), eb('t.workflow', '=', EXTERNAL_WORKFLOW)]),
    )
  if (choice.projectId !== undefined) query = query.where('t.project_id', '=', choice.projectId)
  if (choice.types !== undefined && choice.types.length > 0) query = query.where('t.type', 'in', choice.types)
  for (const label of new Set(choice.labels ?? [])) {
    query = query.where((eb) =>
      eb.exists(
        eb
          .selectFrom('ticket_labels as l')
          .select('l.label')
          .whereRef('l.ticket_id', '=', 't.id')
          .where('l.label', '=', label),
      ),
    )
  }
  return query.orderBy('t.priority').orderBy('t.created_at').orderBy('t.number').orderBy('t.key').limit(1)
}

function lockTickets({ dialect }: Pick<Tx, 'dialect'>, query: ReturnType<typeof toTicketQuery>) {
  return query.$if(dialect.supportsSkipLocked, (locking) => locking.forNoKeyUpdate().skipLocked())
}

/** NOTE: `+ 0` keeps a planner from walking the index of instants, which would make it sort the whole queue. */
function isDue(column: string, now: number): RawBuilder<SqlBool> {
  return sql<SqlBool>`${sql.ref(column)} + 0 <= ${now}`
}

async function findBestRun(tx: Tx, mode: Mode): Promise<Extract<Candidate, { kind: 'resumed' }> | undefined> {
  const [row] = await selectBestRun[mode](tx, { now: tx.now })
  return row === undefined ? undefined : { kind: 'resumed', ...row }
}

const selectBestRun = {
  peek: prepareQuery((base, { now }: { readonly now: number }) => toRunQuery(base, now)),
  // With its ticket, which every change of the run holds.
  lock: prepareQuery((base, { now }: { readonly now: number }) =>
    toRunQuery(base, now)
      .innerJoin('tickets as t', 't.id', 'r.ticket_id')
      .$if(base.dialect.supportsSkipLocked, (locking) => locking.forNoKeyUpdate(['t', 'r']).skipLocked()),
  ),
}

function toRunQuery({ db }: Pick<Tx, 'db'>, now: number) {
  return db
    .selectFrom('runs as r')
    .select([
      'r.id as runId',
      'r.priority',
      'r.ticket_created_at as createdAt',
      'r.ticket_number as ticketNumber',
    ])
    .where('r.status', '=', sql.lit('queued'))
    .where(isDue('r.not_before', now))
    .orderBy('r.priority')
    .orderBy('r.ticket_created_at')
    .orderBy('r.ticket_number')
    .orderBy('r.number')
    .limit(1)
}

function comparePlaces(a: Place, b: Place): number {
  return a.priority - b.priority || a.createdAt - b.createdAt || a.ticketNumber - b.ticketNumber
}

/** What a run copies from its ticket, so that the queue of runs has its order in one index. */
export function placeOf(
  ticket: Row<'tickets'>,
): Pick<Row<'runs'>, 'priority' | 'ticket_created_at' | 'ticket_number'> {
  return { priority: ticket.priority, ticket_created_at: ticket.created_at, ticket_number: ticket.number }
}

/** Whether a coordinator may claim the ticket: it does not name the workflow of outside agents. */
export function isNotExternal(column: string): RawBuilder<boolean> {
  return sql<boolean>`coalesce(${sql.ref(column)}, '') <> ${sql.lit(EXTERNAL_WORKFLOW)}`
}
