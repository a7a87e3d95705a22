import type { EffectStatus, RunStatus, StepStatus, TicketStatus } from '../../../src/domain/status.ts'
import type { Sql } from './simulated-store.ts'

export type TicketRow = {
  readonly id: string
  readonly key: string
  readonly status: TicketStatus
  readonly reason: string | null
  readonly external_id: string | null
}
export type RunRow = {
  readonly id: string
  readonly ticket_id: string
  readonly status: RunStatus
  readonly workflow: string | null
  readonly lease_holder: string | null
  readonly lease_expires_at: number | null
  readonly lease_epoch: number
  readonly parent_step_instance_id: string | null
}
export type StepRow = {
  readonly id: string
  readonly run_id: string
  readonly key: string
  readonly status: StepStatus
  readonly attempt_count: number
}
export type EffectRow = {
  readonly id: string
  readonly key: string
  readonly kind: string
  readonly ticket_id: string
  readonly status: EffectStatus
  readonly sender: string | null
  readonly finished_at: number | null
}

/** What the store held at one moment. */
export type Snapshot = {
  readonly tickets: ReadonlyMap<string, TicketRow>
  readonly dependencies: readonly { readonly ticket_id: string; readonly depends_on_id: string }[]
  readonly runs: ReadonlyMap<string, RunRow>
  readonly steps: ReadonlyMap<string, StepRow>
  /** One for each attempt that is running */
  readonly runningStepIds: readonly string[]
  /** Runs that wait for something */
  readonly waitingRunIds: ReadonlySet<string>
  /** In the order of the outbox */
  readonly effects: readonly EffectRow[]
  readonly events: { readonly count: number; readonly last: number }
}

const COLUMNS = {
  tickets: ['id', 'key', 'status', 'reason', 'external_id'],
  ticket_dependencies: ['ticket_id', 'depends_on_id'],
  runs: [
    'id',
    'ticket_id',
    'status',
    'workflow',
    'lease_holder',
    'lease_expires_at',
    'lease_epoch',
    'parent_step_instance_id',
  ],
  steps: ['id', 'run_id', 'key', 'status', 'attempt_count'],
  effects: ['id', 'key', 'kind', 'ticket_id', 'status', 'sender', 'finished_at'],
} as const

/** One statement: this is asked after every write. */
const SNAPSHOT_SQL = `select ${[
  ...Object.entries(COLUMNS).map(([table, columns]) => {
    const row = columns.map((column) => `'${column}', ${column}`).join(', ')
    const from = table === 'effects' ? '(select * from effects order by seq)' : table
    return `(select json_group_array(json_object(${row})) from ${from}) as ${table}`
  }),
  `(select json_group_array(step_instance_id) from attempts where status = 'running') as attempts`,
  '(select json_group_array(run_id) from waits where resolved_at is null) as waits',
  '(select count(*) from events) as event_count',
  '(select coalesce(max(seq) - min(seq) + 1, 0) from events) as event_last',
].join(', ')}`

export async function takeSnapshot(sql: Sql): Promise<Snapshot> {
  const [row] = await sql(SNAPSHOT_SQL)
  // The columns are those of the types above.
  const list = <T>(name: string) => JSON.parse(String(row?.[name])) as readonly T[]
  const byId = <T extends { readonly id: string }>(name: string) =>
    new Map(list<T>(name).map((each) => [each.id, each]))
  return {
    tickets: byId<TicketRow>('tickets'),
    dependencies: list('ticket_dependencies'),
    runs: byId<RunRow>('runs'),
    steps: byId<StepRow>('steps'),
    runningStepIds: list<string>('attempts'),
    waitingRunIds: new Set(list<string>('waits')),
    effects: list('effects'),
    events: { count: Number(row?.event_count), last: Number(row?.event_last) },
  }
}
