/** SQLite databases of other programs, made by hand, and trackers on them. */
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import type { Tracker } from '../../src/tracker/contract.ts'
import {
  createSqliteTableTracker,
  type SqliteTableOptions,
} from '../../src/tracker/sqlite-table/create-sqlite-table-tracker.ts'
import {
  DEFAULT_COLUMNS,
  DEFAULT_STATUSES,
  DEFAULT_TABLE,
  MAPPED_PARTS,
  type MappedColumn,
  type MappedPart,
  type SqliteTableMapping,
} from '../../src/tracker/sqlite-table/mapping.ts'

export const TICKETS_TABLE = `create table tickets (
  id text primary key, title text not null, description text, status text not null default 'pending', type text,
  priority, labels text, claimed_by text, created_at, updated_at, result text, error text, branch text, pull_request text
)`

/** Names of columns by part; named ones must exist. `null`: not mapped. */
export type NamedColumns = Partial<Record<MappedPart, string | null>>

export type ForeignDatabase = AsyncDisposable & {
  readonly folder: string
  readonly path: string
  /** What its owner does: another connection, closed again */
  owner<T>(work: (database: DatabaseSync) => T): T
  rows(sql: string, ...values: readonly SQLInputValue[]): readonly Record<string, unknown>[]
  /** A tracker on it, closed at the end. */
  track(mapping?: MappingChanges, options?: SqliteTableOptions): Tracker
  /** Bytes and times of every file beside it. */
  fingerprint(): Promise<Readonly<Record<string, string>>>
}

export type MappingChanges = Partial<Omit<SqliteTableMapping, 'columns'>> & {
  readonly columns?: NamedColumns
}

export async function makeForeignDatabase(
  schema: string = TICKETS_TABLE,
  { journal = 'delete' }: { readonly journal?: 'delete' | 'wal' } = {},
): Promise<ForeignDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'swarm-foreign-'))
  const path = join(folder, 'their tickets?#.db')
  const trackers: Tracker[] = []
  const owner = <T>(work: (database: DatabaseSync) => T): T => {
    const database = new DatabaseSync(path, { timeout: 5_000, enableForeignKeyConstraints: true })
    try {
      return work(database)
    } finally {
      database.close()
    }
  }
  owner((database) => database.exec(`pragma journal_mode = ${journal}; ${schema}`))
  return {
    folder,
    path,
    owner,
    rows: (sql, ...values) =>
      owner((database) =>
        database
          .prepare(sql)
          .all(...values)
          .map((row) => ({ ...row })),
      ),
    track(changes, options) {
      const tracker = createSqliteTableTracker(toMapping(path, changes), options)
      trackers.push(tracker)
      return tracker
    },
    fingerprint: async () => await fingerprint(folder),
    async [Symbol.asyncDispose]() {
      for (const tracker of trackers) await tracker.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export function toMapping(
  path: string,
  { columns = {}, ...changes }: MappingChanges = {},
): SqliteTableMapping {
  const mapped = (part: MappedPart): MappedColumn | null => {
    const named = columns[part]
    if (named !== undefined) return named === null ? null : { column: named, isExplicit: true }
    const column = DEFAULT_COLUMNS[part]
    return column === null ? null : { column, isExplicit: false }
  }
  return {
    name: 'legacy',
    path,
    table: DEFAULT_TABLE,
    // Every part is named, once.
    columns: Object.fromEntries(
      MAPPED_PARTS.map((part) => [part, mapped(part)]),
    ) as SqliteTableMapping['columns'],
    statuses: DEFAULT_STATUSES,
    types: {},
    priorities: {},
    workflow: null,
    agent: null,
    labels: [],
    ...changes,
  }
}

/** NOTE: reads the files, which drops SQLite's locks in this process: not while a tracker here works on them. */
async function fingerprint(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort()
  const prints = names.map(async (name) => {
    const path = join(folder, name)
    const { mtimeMs, size } = await stat(path)
    return [name, `${size} ${mtimeMs} ${(await readFile(path)).toString('base64')}`] as const
  })
  return Object.fromEntries(await Promise.all(prints))
}
