/** The driver: the only file through which the store's statements reach `node:sqlite`. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import type { QueryResult } from 'kysely'

/** A connection with its prepared statements. Calls block: what runs here is short. */
export type Connection = {
  readonly database: DatabaseSync
  run(sql: string, parameters: readonly unknown[]): QueryResult<unknown>
  /** For statements without parameters and answers: `begin`, pragmas … */
  exec(sql: string): void
  /** One value of the first row */
  value(sql: string): unknown
  close(): void
}

const STATEMENT_COUNT_MAX = 400

export type ConnectionOptions = {
  readonly isReadOnly?: boolean
  /** How long a statement waits for another program's lock, `ms` */
  readonly busyTimeoutMs?: number
}

const BUSY_TIMEOUT_MS = 5_000

/** @param location path of the file, `:memory:`, or a `file:` URL with SQLite's options */
export function openConnection(location: string | URL, options: ConnectionOptions = {}): Connection {
  const database = new DatabaseSync(location, {
    readOnly: options.isReadOnly === true,
    timeout: options.busyTimeoutMs ?? BUSY_TIMEOUT_MS,
    enableForeignKeyConstraints: true,
    enableDoubleQuotedStringLiterals: false,
  })
  const statements = new Map<string, { statement: StatementSync; hasRows: boolean }>()

  function prepare(sql: string): { statement: StatementSync; hasRows: boolean } {
    const known = statements.get(sql)
    if (known !== undefined) {
      // The map's order is the order of use: the first one is the one to drop.
      statements.delete(sql)
      statements.set(sql, known)
      return known
    }
    const statement = database.prepare(sql)
    const prepared = { statement, hasRows: statement.columns().length > 0 }
    statements.set(sql, prepared)
    const oldest = statements.size > STATEMENT_COUNT_MAX ? statements.keys().next().value : undefined
    if (oldest !== undefined) statements.delete(oldest)
    return prepared
  }

  return {
    database,
    run(sql, parameters) {
      const { statement, hasRows } = prepare(sql)
      const values = parameters as readonly SQLInputValue[]
      if (hasRows) return { rows: statement.all(...values) }
      const { changes } = statement.run(...values)
      return { rows: [], numAffectedRows: BigInt(changes) }
    },
    exec: (sql) => database.exec(sql),
    value: (sql) => Object.values(database.prepare(sql).get() ?? {})[0],
    close() {
      statements.clear()
      if (database.isOpen) database.close()
    },
  }
}
