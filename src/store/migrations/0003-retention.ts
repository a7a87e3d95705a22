/**
 * What points at steps and attempts is found by them: else the database looks through whole tables for each row of
 * a run that retention removes.
 */
import { type Kysely, sql } from 'kysely'
import type { Migration } from './migration.ts'

export const retention: Migration = {
  number: 3,
  name: 'retention',
  async up(db: Kysely<never>) {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
  },
}

const STATEMENTS: readonly string[] = [
  'create index sandboxes_by_step on sandboxes (step_instance_id)',
  'create index sandboxes_by_attempt on sandboxes (attempt_id)',
  'create index waits_by_step on waits (step_instance_id)',
  'create index artifacts_by_step on artifacts (step_instance_id)',
  'create index usage_by_step on usage (step_instance_id) where step_instance_id is not null',
  'create index effects_by_step on effects (step_instance_id) where step_instance_id is not null',
  'create index agent_sessions_by_step on agent_sessions (step_instance_id)',
]
