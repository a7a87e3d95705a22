import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import type { Cell } from './cell.ts'

export type Row = Readonly<Record<string, Cell>>

export type Statements = {
  /** Rows of a statement; whole numbers are big */
  rows(sql: string, values?: readonly Cell[]): Iterable<Row>
  row(sql: string, values?: readonly Cell[]): Row | undefined
  run(sql: string, values?: readonly Cell[]): void
  /** Compiles the statement and does nothing else */
  compile(sql: string): void
}

/**
 * A connection that does nothing but what a statement says, whatever the schema of somebody else says. It never
 * waits for a lock.
 */
export function openDatabase(location: URL | ':memory:', { isReadOnly = false } = {}): DatabaseSync {
  const database = new DatabaseSync(location, {
    readOnly: isReadOnly,
    timeout: 0,
    enableForeignKeyConstraints: true,
    // Triggers and views of theirs may hold such texts. NOTE: so each column is written with its table.
    enableDoubleQuotedStringLiterals: true,
    allowExtension: false,
    defensive: true,
    limits: { attach: 0 },
  })
  // Their schema may be hostile: it calls nothing that has effects outside the file. What programs really have in
  // triggers (full-text search, JSON, dates) goes on working. A trigger that changes its own row again, to note the
  // time, is SQLite's default only without recursion.
  database.exec('pragma trusted_schema = off; pragma recursive_triggers = off')
  return database
}

export function toStatements(database: DatabaseSync): Statements {
  const prepare = (sql: string) => {
    const statement = database.prepare(sql)
    statement.setReadBigInts(true)
    return statement
  }
  const bind = (values: readonly Cell[]) => values as readonly SQLInputValue[]
  return {
    // What SQLite gives is exactly the union that `Cell` names.
    rows: (sql, values = []) => prepare(sql).iterate(...bind(values)) as Iterable<Row>,
    row: (sql, values = []) => prepare(sql).get(...bind(values)) as Row | undefined,
    run: (sql, values = []) => void prepare(sql).run(...bind(values)),
    compile: (sql) => void database.prepare(sql),
  }
}
