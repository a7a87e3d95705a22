/**
 * The first version: every table, its indexes, and the rules that the database enforces by itself.
 *
 * The lists of statuses and kinds are written out, not taken from the domain: a released migration must do the
 * same for ever. A test compares them with the domain as it is today.
 */
import { type Kysely, sql } from 'kysely'
import type { Guard, StoreDialect } from '../dialect.ts'
import type { Migration } from './migration.ts'
import {
  createTable,
  FLAG,
  ID,
  INTEGER,
  INTEGER_OR_NULL,
  oneOf,
  ref,
  refOrNull,
  SEQUENCE,
  type TableSpec,
  TEXT,
  TEXT_OR_NULL,
  UNIQUE_TEXT,
} from './table-builder.ts'

export const initialTables: Migration = {
  number: 1,
  name: 'initial-tables',
  async up(db, dialect) {
    for (const [name, spec] of Object.entries(TABLES)) await createTable(db, dialect, name, spec)
    for (const statement of INDEXES) await sql.raw(statement).execute(db)
    await createGuards(db, dialect)
  },
}

const WORK_TABLES: Readonly<Record<string, TableSpec>> = {
  status_transitions: {
    columns: { thing: TEXT, from_status: TEXT, to_status: TEXT },
    primaryKey: ['thing', 'from_status', 'to_status'],
  },
  projects: {
    columns: {
      id: ID,
      key: UNIQUE_TEXT,
      name: TEXT,
      repository_url: TEXT_OR_NULL,
      forge: TEXT,
      default_branch: TEXT,
      default_workflow: TEXT_OR_NULL,
      settings: TEXT,
      ticket_count: INTEGER,
      created_at: INTEGER,
      updated_at: INTEGER,
      version: INTEGER,
    },
  },
  tickets: {
    columns: {
      id: ID,
      project_id: ref('projects'),
      key: UNIQUE_TEXT,
      number: INTEGER,
      title: TEXT,
      body: TEXT,
      type: TEXT,
      labels: TEXT,
      priority: INTEGER,
      status: oneOf(
        'draft',
        'pending',
        'blocked',
        'running',
        'waiting',
        'review',
        'done',
        'failed',
        'canceled',
      ),
      reason: TEXT_OR_NULL,
      detail: TEXT_OR_NULL,
      workflow: TEXT_OR_NULL,
      agent: TEXT_OR_NULL,
      inputs: TEXT,
      outputs: TEXT_OR_NULL,
      not_before: INTEGER,
      queued_at: INTEGER,
      run_count: INTEGER,
      // The next two cache what `runs` and `pull_requests` say; no foreign key, because those point back here.
      current_run_id: TEXT_OR_NULL,
      branch: TEXT_OR_NULL,
      pull_request_id: TEXT_OR_NULL,
      dead_at: INTEGER_OR_NULL,
      created_by: TEXT,
      created_at: INTEGER,
      updated_at: INTEGER,
      finished_at: INTEGER_OR_NULL,
      version: INTEGER,
    },
    unique: [['project_id', 'number']],
    checks: {
      priority_range: 'priority between 1 and 5',
      dead_is_failed: "dead_at is null or status = 'failed'",
      terminal_is_finished: "(status in ('done', 'failed', 'canceled')) = (finished_at is not null)",
    },
  },
  ticket_labels: {
    columns: { ticket_id: ref('tickets'), label: TEXT },
    primaryKey: ['label', 'ticket_id'],
  },
  ticket_dependencies: {
    columns: { ticket_id: ref('tickets'), depends_on_id: ref('tickets') },
    primaryKey: ['ticket_id', 'depends_on_id'],
    checks: { not_itself: 'ticket_id <> depends_on_id' },
  },
  comments: {
    columns: { id: ID, ticket_id: ref('tickets'), author: TEXT, body: TEXT, created_at: INTEGER },
  },
  agents: {
    columns: {
      id: ID,
      name: TEXT,
      version: TEXT,
      manifest: TEXT,
      path: TEXT,
      digest: TEXT,
      source: oneOf('shipped', 'registered'),
      created_at: INTEGER,
    },
    unique: [['name', 'version']],
  },
  workflows: {
    columns: {
      id: ID,
      name: TEXT,
      version: TEXT,
      text: TEXT,
      digest: TEXT,
      source: oneOf('shipped', 'registered', 'repository'),
      created_at: INTEGER,
    },
    unique: [['name', 'version']],
  },
}

const RUN_TABLES: Readonly<Record<string, TableSpec>> = {
  runs: {
    columns: {
      id: ID,
      ticket_id: ref('tickets'),
      number: INTEGER,
      status: oneOf('queued', 'running', 'waiting', 'succeeded', 'failed', 'canceled'),
      reason: TEXT_OR_NULL,
      detail: TEXT_OR_NULL,
      workflow_id: refOrNull('workflows'),
      workflow: TEXT_OR_NULL,
      inputs: TEXT,
      outputs: TEXT_OR_NULL,
      pins: TEXT_OR_NULL,
      // Points to `steps`, which points back here; kept right by the one write that makes child runs.
      parent_step_instance_id: TEXT_OR_NULL,
      not_before: INTEGER,
      lease_holder: TEXT_OR_NULL,
      lease_expires_at: INTEGER_OR_NULL,
      lease_epoch: INTEGER,
      finished_by: TEXT_OR_NULL,
      cancel_requested_at: INTEGER_OR_NULL,
      priority: INTEGER,
      ticket_created_at: INTEGER,
      ticket_number: INTEGER,
      queued_at: INTEGER,
      created_at: INTEGER,
      started_at: INTEGER_OR_NULL,
      finished_at: INTEGER_OR_NULL,
    },
    unique: [['ticket_id', 'number']],
    checks: {
      running_is_leased: "(status = 'running') = (lease_holder is not null)",
      lease_is_whole: '(lease_holder is null) = (lease_expires_at is null)',
      terminal_is_finished: "(status in ('succeeded', 'failed', 'canceled')) = (finished_at is not null)",
    },
  },
  steps: {
    columns: {
      id: ID,
      run_id: ref('runs'),
      step_id: TEXT,
      position: INTEGER_OR_NULL,
      key: TEXT,
      kind: TEXT,
      status: oneOf('pending', 'running', 'waiting', 'succeeded', 'failed', 'skipped', 'canceled'),
      reason: TEXT_OR_NULL,
      detail: TEXT_OR_NULL,
      item: TEXT,
      inputs: TEXT_OR_NULL,
      outputs: TEXT_OR_NULL,
      not_before: INTEGER,
      attempt_count: INTEGER,
      ordinal: INTEGER,
      started_at: INTEGER_OR_NULL,
      finished_at: INTEGER_OR_NULL,
    },
    unique: [
      ['run_id', 'key'],
      ['run_id', 'id'],
    ],
    checks: {
      terminal_is_finished:
        "(status in ('succeeded', 'failed', 'skipped', 'canceled')) = (finished_at is not null)",
    },
  },
  attempts: {
    columns: {
      id: ID,
      run_id: ref('runs'),
      step_instance_id: ref('steps'),
      number: INTEGER,
      status: oneOf('running', 'succeeded', 'failed', 'lost', 'canceled'),
      phase: oneOf('launching', 'awaiting', 'harvesting'),
      reason: TEXT_OR_NULL,
      detail: TEXT_OR_NULL,
      sandbox_id: TEXT_OR_NULL,
      handle: TEXT_OR_NULL,
      exit_code: INTEGER_OR_NULL,
      outputs: TEXT_OR_NULL,
      base_commit: TEXT_OR_NULL,
      result_commit: TEXT_OR_NULL,
      started_at: INTEGER,
      finished_at: INTEGER_OR_NULL,
    },
    unique: [['step_instance_id', 'number']],
    checks: { terminal_is_finished: "(status <> 'running') = (finished_at is not null)" },
  },
  waits: {
    columns: {
      id: ID,
      run_id: ref('runs'),
      step_instance_id: ref('steps'),
      kind: oneOf('approval', 'question', 'timer', 'signal', 'effect', 'run'),
      subject: TEXT,
      deadline_at: INTEGER_OR_NULL,
      created_at: INTEGER,
      resolved_at: INTEGER_OR_NULL,
      resolved_by: TEXT_OR_NULL,
      resolution: TEXT_OR_NULL,
    },
  },
  signals: {
    columns: {
      seq: SEQUENCE,
      id: UNIQUE_TEXT,
      run_id: ref('runs'),
      name: TEXT,
      payload: TEXT,
      created_at: INTEGER,
      consumed_at: INTEGER_OR_NULL,
    },
  },
  agent_sessions: {
    columns: {
      id: ID,
      ticket_id: ref('tickets'),
      run_id: ref('runs'),
      step_instance_id: ref('steps'),
      agent: TEXT,
      session: TEXT,
      data: TEXT,
      created_at: INTEGER,
      updated_at: INTEGER,
    },
  },
  usage: {
    columns: {
      seq: SEQUENCE,
      run_id: ref('runs'),
      step_instance_id: refOrNull('steps'),
      attempt: INTEGER_OR_NULL,
      model: TEXT_OR_NULL,
      input_token_count: INTEGER,
      output_token_count: INTEGER,
      cost_micro_usd: INTEGER_OR_NULL,
      duration_ms: INTEGER,
      created_at: INTEGER,
    },
  },
  hosts: {
    columns: {
      id: ID,
      name: UNIQUE_TEXT,
      holder: UNIQUE_TEXT,
      pid: INTEGER,
      boot_id: TEXT,
      slot_count: INTEGER,
      started_at: INTEGER,
      last_seen_at: INTEGER,
      stopped_at: INTEGER_OR_NULL,
    },
  },
  sandboxes: {
    columns: {
      id: ID,
      host_id: ref('hosts'),
      driver: TEXT,
      run_id: ref('runs'),
      step_instance_id: ref('steps'),
      attempt_id: ref('attempts'),
      status: oneOf('creating', 'ready', 'stopping', 'gone', 'lost'),
      reason: TEXT_OR_NULL,
      created_at: INTEGER,
      ended_at: INTEGER_OR_NULL,
    },
  },
}

const RECORD_TABLES: Readonly<Record<string, TableSpec>> = {
  events: {
    columns: {
      seq: SEQUENCE,
      at: INTEGER,
      type: TEXT,
      actor: TEXT,
      // History outlives what it tells of: no foreign keys.
      ticket_id: TEXT_OR_NULL,
      run_id: TEXT_OR_NULL,
      step_instance_id: TEXT_OR_NULL,
      attempt: INTEGER_OR_NULL,
      data: TEXT,
    },
  },
  artifacts: {
    columns: {
      id: ID,
      run_id: ref('runs'),
      step_instance_id: ref('steps'),
      attempt: INTEGER,
      name: TEXT,
      path: TEXT,
      byte_count: INTEGER,
      sha256: TEXT,
      created_at: INTEGER,
    },
  },
  pull_requests: {
    columns: {
      id: ID,
      project_id: ref('projects'),
      ticket_id: ref('tickets'),
      run_id: ref('runs'),
      forge: TEXT,
      number: INTEGER,
      title: TEXT,
      body: TEXT,
      branch: TEXT,
      base_branch: TEXT,
      head_commit: TEXT,
      base_commit: TEXT,
      merge_commit: TEXT_OR_NULL,
      status: oneOf('open', 'merged', 'closed'),
      review_state: oneOf('none', 'approved', 'changes_requested'),
      diff: TEXT,
      is_diff_truncated: FLAG,
      addition_count: INTEGER,
      deletion_count: INTEGER,
      changed_files: TEXT,
      url: TEXT_OR_NULL,
      created_at: INTEGER,
      updated_at: INTEGER,
      merged_at: INTEGER_OR_NULL,
    },
    unique: [['project_id', 'forge', 'number']],
    checks: { merged_has_instant: "(status = 'merged') = (merged_at is not null)" },
  },
  effects: {
    columns: {
      seq: SEQUENCE,
      id: UNIQUE_TEXT,
      key: UNIQUE_TEXT,
      kind: TEXT,
      ticket_id: ref('tickets'),
      run_id: refOrNull('runs'),
      step_instance_id: refOrNull('steps'),
      payload: TEXT,
      status: oneOf('pending', 'sending', 'done', 'dead'),
      attempt_count: INTEGER,
      not_before: INTEGER,
      result: TEXT_OR_NULL,
      reason: TEXT_OR_NULL,
      detail: TEXT_OR_NULL,
      created_at: INTEGER,
      finished_at: INTEGER_OR_NULL,
    },
    checks: { terminal_is_finished: "(status in ('done', 'dead')) = (finished_at is not null)" },
  },
  external_refs: {
    columns: {
      tracker: TEXT,
      external_id: TEXT,
      ticket_id: ref('tickets'),
      data: TEXT,
      created_at: INTEGER,
      updated_at: INTEGER,
    },
    primaryKey: ['tracker', 'external_id'],
  },
  counters: { columns: { name: { type: 'text', isPrimary: true }, value: INTEGER } },
  tokens: {
    columns: {
      id: ID,
      name: TEXT,
      scopes: TEXT,
      run_id: refOrNull('runs'),
      secret_hash: UNIQUE_TEXT,
      created_at: INTEGER,
      expires_at: INTEGER_OR_NULL,
      revoked_at: INTEGER_OR_NULL,
      last_used_at: INTEGER_OR_NULL,
    },
  },
  secrets: {
    columns: {
      name: { type: 'text', isPrimary: true },
      key_id: TEXT,
      sealed: TEXT,
      created_at: INTEGER,
      updated_at: INTEGER,
    },
  },
  audit: {
    columns: { seq: SEQUENCE, at: INTEGER, actor: TEXT, action: TEXT, subject: TEXT, data: TEXT },
  },
  idempotency_keys: {
    columns: {
      key: { type: 'text', isPrimary: true },
      fingerprint: TEXT,
      value: TEXT,
      created_at: INTEGER,
    },
  },
}

const TABLES = { ...WORK_TABLES, ...RUN_TABLES, ...RECORD_TABLES }

const LIVE_RUN = "status in ('queued', 'running', 'waiting')"

/**
 * Partial where the rows of interest are few; the claim reads both queues in order, without sorting. The status leads
 * such an index although all its rows have the same one: a planner then prefers it to the index of all statuses.
 */
const INDEXES: readonly string[] = [
  `create index tickets_queue on tickets (status, priority, created_at, number, key, not_before) where status = 'pending'`,
  `create index tickets_due on tickets (status, not_before, queued_at) where status = 'pending'`,
  'create index tickets_by_age on tickets (created_at, id)',
  'create index tickets_by_project on tickets (project_id, created_at, id)',
  'create index tickets_by_status on tickets (status, created_at, id)',
  'create index tickets_dead on tickets (dead_at) where dead_at is not null',
  'create index ticket_labels_by_ticket on ticket_labels (ticket_id)',
  'create index ticket_dependents on ticket_dependencies (depends_on_id)',
  'create index comments_by_ticket on comments (ticket_id, created_at)',

  `create index runs_queue on runs (status, priority, ticket_created_at, ticket_number, number, not_before)
     where status = 'queued'`,
  `create index runs_due on runs (status, not_before, queued_at) where status = 'queued'`,
  `create index runs_leased on runs (status, lease_expires_at) where status = 'running'`,
  `create index runs_held on runs (status, lease_holder) where status = 'running'`,
  'create index runs_by_age on runs (created_at, id)',
  'create index runs_by_status on runs (status, created_at, id)',
  'create index runs_children on runs (parent_step_instance_id) where parent_step_instance_id is not null',
  `create unique index runs_one_live_per_ticket on runs (ticket_id)
     where parent_step_instance_id is null and ${LIVE_RUN}`,
  `create unique index runs_one_live_per_parent on runs (parent_step_instance_id)
     where parent_step_instance_id is not null and ${LIVE_RUN}`,

  'create unique index steps_instance on steps (run_id, step_id, coalesce(position, -1))',
  'create index attempts_by_run on attempts (run_id)',
  `create unique index attempts_one_running on attempts (step_instance_id) where status = 'running'`,
  'create index waits_by_run on waits (run_id)',
  'create unique index waits_one_open on waits (step_instance_id) where resolved_at is null',
  'create index waits_due on waits (deadline_at, id) where resolved_at is null and deadline_at is not null',
  'create index waits_by_subject on waits (kind, subject) where resolved_at is null',
  'create index signals_unread on signals (run_id, name, seq) where consumed_at is null',
  'create index agent_sessions_by_ticket on agent_sessions (ticket_id, agent)',
  'create index usage_by_run on usage (run_id)',
  'create index sandboxes_by_run on sandboxes (run_id)',
  'create index sandboxes_by_host on sandboxes (host_id, status)',
  `create unique index sandboxes_one_live on sandboxes (step_instance_id)
     where status in ('creating', 'ready', 'stopping')`,

  'create index events_by_ticket on events (ticket_id, seq) where ticket_id is not null',
  'create index events_by_run on events (run_id, seq) where run_id is not null',
  'create index artifacts_by_run on artifacts (run_id)',
  'create index pull_requests_by_ticket on pull_requests (ticket_id)',
  'create index pull_requests_by_age on pull_requests (created_at, id)',
  `create unique index pull_requests_one_open on pull_requests (project_id, forge, branch)
     where status = 'open'`,
  'create index effects_by_status on effects (status, seq, not_before)',
  'create index effects_by_ticket on effects (ticket_id, seq)',
  'create index external_refs_by_ticket on external_refs (ticket_id)',
  'create index tokens_by_run on tokens (run_id) where run_id is not null',
  'create index idempotency_keys_by_age on idempotency_keys (created_at)',
]

const GUARDS: readonly Guard[] = [
  { kind: 'moves', table: 'tickets', thing: 'ticket', initial: ['draft', 'pending', 'blocked'] },
  { kind: 'moves', table: 'runs', thing: 'run', initial: ['queued', 'running'] },
  { kind: 'moves', table: 'steps', thing: 'step', initial: ['pending'] },
  { kind: 'moves', table: 'attempts', thing: 'attempt', initial: ['running'] },
  { kind: 'moves', table: 'sandboxes', thing: 'sandbox', initial: ['creating'] },
  { kind: 'moves', table: 'pull_requests', thing: 'pull_request', initial: ['open'] },
  { kind: 'moves', table: 'effects', thing: 'effect', initial: ['pending'] },
  { kind: 'immutable', table: 'events' },
  { kind: 'immutable', table: 'audit' },
  { kind: 'never_falls', table: 'runs', column: 'lease_epoch' },
  { kind: 'never_falls', table: 'projects', column: 'ticket_count' },
  { kind: 'never_falls', table: 'steps', column: 'attempt_count' },
]

async function createGuards(db: Kysely<never>, dialect: StoreDialect): Promise<void> {
  for (const guard of GUARDS) {
    for (const statement of dialect.guardStatements(guard)) await sql.raw(statement).execute(db)
  }
}
