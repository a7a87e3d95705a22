import type { Guard, StoreDialect } from '../dialect.ts'

export const sqliteDialect: StoreDialect = {
  name: 'sqlite',
  supportsSkipLocked: false,
  textType: 'text',
  integerType: 'integer',
  tableSuffix: 'strict',
  asSequence: (column) => column.primaryKey().autoIncrement(),
  guardStatements,
}

/** Words at the head of a trigger's message; `toStoreError` knows the refusal by them. */
export const ILLEGAL_TRANSITION = 'illegal transition'

function guardStatements(guard: Guard): readonly string[] {
  switch (guard.kind) {
    case 'moves':
      return moveTriggers(guard)
    case 'immutable':
      return [
        `create trigger ${guard.table}_immutable before update on ${guard.table}
         begin select raise(abort, 'rows of ${guard.table} are never changed'); end`,
      ]
    case 'never_falls':
      return [
        `create trigger ${guard.table}_${guard.column}_never_falls before update of ${guard.column} on ${guard.table}
         when new.${guard.column} < old.${guard.column}
         begin select raise(abort, '${guard.table}.${guard.column} never falls'); end`,
      ]
    default:
      return guard satisfies never
  }
}

function moveTriggers({ table, thing, initial }: Extract<Guard, { kind: 'moves' }>): readonly string[] {
  const beginnings = initial.map((status) => `'${status}'`).join(', ')
  return [
    `create trigger ${table}_status_begins before insert on ${table}
     when new.status not in (${beginnings})
     begin select raise(abort, '${ILLEGAL_TRANSITION}: a ${thing} does not begin like that'); end`,
    `create trigger ${table}_status_moves before update of status on ${table}
     when new.status <> old.status and not exists (
       select 1 from status_transitions
       where thing = '${thing}' and from_status = old.status and to_status = new.status
     )
     begin select raise(abort, '${ILLEGAL_TRANSITION}: not in status_transitions for ${thing}'); end`,
  ]
}
