import { sql } from 'kysely'
import type { Guard, StoreDialect } from '../dialect.ts'

export const postgresDialect: StoreDialect = {
  name: 'postgres',
  supportsSkipLocked: true,
  // Whatever language the database was made for: identifiers and pages have one order on every store.
  textType: sql`text collate "C"`,
  integerType: 'bigint',
  tableSuffix: null,
  asSequence: (column) => column.primaryKey().generatedByDefaultAsIdentity(),
  guardStatements,
}

/** Says that a row was to move where the table of transitions has no move; `toStoreError` knows it. */
export const ILLEGAL_TRANSITION = 'SWM01'
/** Says that a row was to change that never does, or a number to fall that never falls. */
export const GUARDED = 'SWM02'

function guardStatements(guard: Guard): readonly string[] {
  switch (guard.kind) {
    case 'moves':
      return moveTriggers(guard)
    case 'immutable':
      return trigger(`${guard.table}_immutable`, `before update on ${guard.table} for each row`, [
        `raise exception 'rows of ${guard.table} are never changed' using errcode = '${GUARDED}';`,
      ])
    case 'never_falls': {
      const { table, column } = guard
      return trigger(
        `${table}_${column}_never_falls`,
        `before update of ${column} on ${table} for each row when (new.${column} < old.${column})`,
        [`raise exception '${table}.${column} never falls' using errcode = '${GUARDED}';`],
      )
    }
    default:
      return guard satisfies never
  }
}

function moveTriggers({ table, thing, initial }: Extract<Guard, { kind: 'moves' }>): readonly string[] {
  const beginnings = initial.map((status) => `'${status}'`).join(', ')
  const refuse = (why: string) =>
    `raise exception 'illegal transition: ${why}' using errcode = '${ILLEGAL_TRANSITION}';`
  return [
    ...trigger(
      `${table}_status_begins`,
      `before insert on ${table} for each row when (new.status not in (${beginnings}))`,
      [refuse(`a ${thing} does not begin like that`)],
    ),
    ...trigger(
      `${table}_status_moves`,
      `before update of status on ${table} for each row when (new.status <> old.status)`,
      [
        `if not exists (
           select 1 from status_transitions
           where thing = '${thing}' and from_status = old.status and to_status = new.status
         ) then ${refuse(`not in status_transitions for ${thing}`)} end if;`,
        'return new;',
      ],
    ),
  ]
}

/** A trigger and its function, of the same name. */
function trigger(name: string, when: string, body: readonly string[]): readonly string[] {
  return [
    `create function ${name}() returns trigger language plpgsql as $body$ begin ${body.join(' ')} end $body$`,
    `create trigger ${name} ${when} execute function ${name}()`,
  ]
}
