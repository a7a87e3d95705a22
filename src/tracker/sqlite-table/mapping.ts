import type { TicketStatus } from '../../domain/status.ts'

/** How a table of tickets that somebody else made is read and written; every default filled in. */
export type SqliteTableMapping = {
  /** Name of the tracker in the configuration */
  readonly name: string
  /** Absolute path of the SQLite file */
  readonly path: string
  /** A table, or a view that can be updated */
  readonly table: string
  readonly columns: Readonly<Record<MappedPart, MappedColumn | null>>
  /** The tracker's words for each status; the first is written, all are read. Absent or empty: never written */
  readonly statuses: Readonly<Partial<Record<TicketStatus, readonly string[]>>>
  /** The tracker's word → our type; what is not listed is taken as it is */
  readonly types: Readonly<Record<string, string>>
  /** The tracker's word or number → 1 to 5; whole numbers from 1 to 5 are taken as they are */
  readonly priorities: Readonly<Record<string, number>>
  /** Workflow, agent and labels of each mirrored ticket, where no column says so */
  readonly workflow: string | null
  readonly agent: string | null
  readonly labels: readonly string[]
}

/** A column that was named in the configuration must exist; a default one is used only when it does. */
export type MappedColumn = { readonly column: string; readonly isExplicit: boolean }

/** `id`, `status` and `title` must exist. */
export const MAPPED_PARTS = [
  'id',
  'status',
  'title',
  'body',
  'type',
  'priority',
  'labels',
  'workflow',
  'agent',
  'inputs',
  'createdAt',
  'updatedAt',
  'claimedBy',
  'result',
  'error',
  'branch',
  'pullRequest',
] as const
export type MappedPart = (typeof MAPPED_PARTS)[number]

/** Columns that are used where they exist and nothing else is configured; `null`: only when it is configured. */
export const DEFAULT_COLUMNS: Readonly<Record<MappedPart, string | null>> = {
  id: 'id',
  status: 'status',
  title: 'title',
  body: 'description',
  type: 'type',
  priority: 'priority',
  labels: 'labels',
  workflow: null,
  agent: null,
  inputs: null,
  createdAt: 'created_at',
  updatedAt: 'updated_at',
  claimedBy: 'claimed_by',
  result: 'result',
  error: 'error',
  branch: 'branch',
  pullRequest: 'pull_request',
}

export const DEFAULT_TABLE = 'tickets'

/** Words for our statuses where the configuration says nothing. */
export const DEFAULT_STATUSES: SqliteTableMapping['statuses'] = {
  pending: ['pending'],
  running: ['in_progress'],
  done: ['done'],
  failed: ['failed'],
  canceled: ['canceled'],
}
