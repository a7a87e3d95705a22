import type { TicketStatus } from '../../domain/status.ts'
import {
  DEFAULT_COLUMNS,
  DEFAULT_STATUSES,
  DEFAULT_TABLE,
  MAPPED_PARTS,
  type MappedPart,
  type SqliteTableMapping,
} from './mapping.ts'
import { toKebab } from './setting-name.ts'

/** What the configuration says; everything else is a default. */
export type WrittenMapping = Pick<
  SqliteTableMapping,
  'name' | 'path' | 'types' | 'priorities' | 'workflow' | 'agent' | 'labels' | 'statuses'
> & {
  readonly table: string | null
  /** By the part's name with hyphens; `null`: the part has no column */
  readonly columns: Readonly<Record<string, string | null>>
}

/** The whole mapping. What was written wins over a default that it contradicts. */
export function toMapping(written: WrittenMapping): SqliteTableMapping {
  const { name, path, types, priorities, workflow, agent, labels } = written
  const columns = MAPPED_PARTS.map((part) => [part, toColumn(part, written.columns)] as const)
  return {
    name,
    path,
    table: written.table ?? DEFAULT_TABLE,
    // Every part of the list is there.
    columns: Object.fromEntries(columns) as SqliteTableMapping['columns'],
    statuses: toStatuses(written.statuses),
    types,
    priorities,
    workflow,
    agent,
    labels,
  }
}

function toColumn(
  part: MappedPart,
  written: WrittenMapping['columns'],
): SqliteTableMapping['columns'][MappedPart] {
  const named = written[toKebab(part)]
  if (named !== undefined) return named === null ? null : { column: named, isExplicit: true }
  const usual = DEFAULT_COLUMNS[part]
  const isTaken = Object.values(written).some((column) => column?.toLowerCase() === usual?.toLowerCase())
  return usual === null || isTaken ? null : { column: usual, isExplicit: false }
}

function toStatuses(written: SqliteTableMapping['statuses']): SqliteTableMapping['statuses'] {
  const used = new Set(Object.values(written).flat())
  const usual = Object.entries(DEFAULT_STATUSES)
    .filter(([status]) => !Object.hasOwn(written, status))
    .map(([status, words = []]) => [status, words.filter((word) => !used.has(word))] as const)
  return { ...(Object.fromEntries(usual) as Partial<Record<TicketStatus, readonly string[]>>), ...written }
}
