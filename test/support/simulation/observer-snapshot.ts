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
  readonly runningAttempts: readonly { readonly step_instance_id: string }[]
  /** Runs that wait for something */
  readonly waitingRunIds: ReadonlySet<string>
  /** In the order of the outbox */
  readonly effects: readonly EffectRow[]
  readonly events: { readonly count: number; readonly last: number }
}

export async function takeSnapshot(sql: Sql): Promise<Snapshot> {
  // The columns are those of the types above.
  const rows = async <T>(text: string) => (await sql(text)) as unknown as readonly T[]
  const tickets = await rows<TicketRow>('select id, key, status, reason, external_id from tickets')
  const runs = await rows<RunRow>(
    `select id, ticket_id, status, workflow, lease_holder, lease_expires_at, lease_epoch, parent_step_instance_id
     from runs`,
  )
  const steps = await rows<StepRow>('select id, run_id, key, status, attempt_count from steps')
  const waits = await rows<{ run_id: string }>('select run_id from waits where resolved_at is null')
  const [events] = await rows<Snapshot['events']>(
    'select count(*) as count, coalesce(max(seq) - min(seq) + 1, 0) as last from events',
  )
  return {
    tickets: new Map(tickets.map((row) => [row.id, row])),
    dependencies: await rows('select ticket_id, depends_on_id from ticket_dependencies'),
    runs: new Map(runs.map((row) => [row.id, row])),
    steps: new Map(steps.map((row) => [row.id, row])),
    runningAttempts: await rows(`select step_instance_id from attempts where status = 'running'`),
    waitingRunIds: new Set(waits.map(({ run_id }) => run_id)),
    effects: await rows(
      'select id, key, kind, ticket_id, status, sender, finished_at from effects order by seq',
    ),
    events: events ?? { count: 0, last: 0 },
  }
}
