import { type ColumnDefinitionBuilder, type Kysely, sql } from 'kysely'
import type { StoreDialect } from '../dialect.ts'

/** A column in words; `text` and `integer` are the only types both databases share without surprises. */
export type Column = {
  readonly type: 'text' | 'integer' | 'sequence'
  readonly isNullable?: true
  readonly isPrimary?: true
  readonly isUnique?: true
  /** Table whose `id` it names */
  readonly references?: string
  /** Closed list of values */
  readonly oneOf?: readonly (string | number)[]
}

export type TableSpec = {
  readonly columns: Readonly<Record<string, Column>>
  readonly primaryKey?: readonly string[]
  readonly unique?: readonly (readonly string[])[]
  /** Further conditions on a row, by name */
  readonly checks?: Readonly<Record<string, string>>
}

/** Creates the table with its columns and constraints. */
export async function createTable(
  db: Kysely<never>,
  dialect: StoreDialect,
  name: string,
  spec: TableSpec,
): Promise<void> {
  let table = db.schema.createTable(name)
  for (const [column, definition] of Object.entries(spec.columns)) {
    const type = definition.type === 'text' ? dialect.textType : dialect.integerType
    table = table.addColumn(column, type, (builder) => build(builder, dialect, column, definition))
  }
  if (spec.primaryKey !== undefined) {
    table = table.addPrimaryKeyConstraint(`${name}_pk`, spec.primaryKey as never)
  }
  for (const columns of spec.unique ?? []) {
    table = table.addUniqueConstraint(`${name}_${columns.join('_')}_unique`, columns as never)
  }
  for (const [check, condition] of Object.entries(spec.checks ?? {})) {
    table = table.addCheckConstraint(`${name}_${check}`, sql.raw(condition))
  }
  if (dialect.tableSuffix !== null) table = table.modifyEnd(sql.raw(dialect.tableSuffix))
  await table.execute()
}

function build(
  builder: ColumnDefinitionBuilder,
  dialect: StoreDialect,
  name: string,
  definition: Column,
): ColumnDefinitionBuilder {
  if (definition.type === 'sequence') return dialect.asSequence(builder)
  let column = builder
  if (definition.isNullable !== true) column = column.notNull()
  if (definition.isPrimary === true) column = column.primaryKey()
  if (definition.isUnique === true) column = column.unique()
  if (definition.references !== undefined) column = column.references(`${definition.references}.id`)
  if (definition.oneOf !== undefined) {
    const values = definition.oneOf
      .map((value) => (typeof value === 'number' ? value : `'${value}'`))
      .join(', ')
    column = column.check(sql.raw(`${name} in (${values})`))
  }
  return column
}

export const ID: Column = { type: 'text', isPrimary: true }
export const TEXT: Column = { type: 'text' }
export const TEXT_OR_NULL: Column = { type: 'text', isNullable: true }
export const INTEGER: Column = { type: 'integer' }
export const INTEGER_OR_NULL: Column = { type: 'integer', isNullable: true }
export const UNIQUE_TEXT: Column = { type: 'text', isUnique: true }
export const SEQUENCE: Column = { type: 'sequence' }
export const FLAG: Column = { type: 'integer', oneOf: [0, 1] }

export function ref(table: string): Column {
  return { type: 'text', references: table }
}

export function refOrNull(table: string): Column {
  return { type: 'text', references: table, isNullable: true }
}

export function oneOf(...values: readonly string[]): Column {
  return { type: 'text', oneOf: values }
}
