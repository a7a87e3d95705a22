import type { ColumnDefinitionBuilder, RawBuilder } from 'kysely'
import type { Thing } from '../domain/status.ts'

/** What the shared queries and migrations need to know about the database below; each implementation has one. */
export type StoreDialect = {
  readonly name: string
  /**
   * Several transactions write at once: what one has read another may change, unless it locked the rows
   * (`for no key update`), and locked ones can be passed over (`skip locked`)
   */
  readonly supportsSkipLocked: boolean
  /** Column type for text, compared byte by byte */
  readonly textType: 'text' | RawBuilder<unknown>
  /** Column type for counts, flags and instants */
  readonly integerType: 'integer' | 'bigint'
  /** Words after the closing bracket of `create table` */
  readonly tableSuffix: string | null
  /** Makes the column the primary key that counts up by itself */
  asSequence(column: ColumnDefinitionBuilder): ColumnDefinitionBuilder
  /** Statements that make the database itself refuse what the guard forbids. */
  guardStatements(guard: Guard): readonly string[]
}

/** A rule on rows that a column's definition cannot express. */
export type Guard =
  /** `status` begins with one of `initial` and moves along `status_transitions` only */
  | {
      readonly kind: 'moves'
      readonly table: string
      readonly thing: Thing
      readonly initial: readonly string[]
    }
  /** Rows are never changed */
  | { readonly kind: 'immutable'; readonly table: string }
  /** The number in the column never becomes smaller */
  | { readonly kind: 'never_falls'; readonly table: string; readonly column: string }
