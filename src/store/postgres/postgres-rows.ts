import { StoreError } from '../errors.ts'
import { MIGRATIONS } from '../migrations/list.ts'
import type { PostgresLocation } from '../postgres-location.ts'
import type { Row, RowSource, RowTarget, RowValue, StoreTable } from '../store-rows.ts'
import { LOCK_CLASS, MIGRATION_LOCK } from './functions.ts'
import { assertServer, inspect, migrate } from './migrate.ts'
import { openSession, type Session } from './session.ts'
import { toTarget } from './target.ts'
import { toStoreError } from './to-store-error.ts'

type Where = { readonly location: PostgresLocation; readonly password?: string }

const STATEMENT_TIMEOUT_MS = 10 * 60_000
const INSERT_COUNT_MAX = 100

/** @throws StoreError `locked`, `not_found`, `conflict` when its version is another one */
export async function openPostgresRows(where: Where): Promise<RowSource> {
  return await open(where, async (session, label) => {
    const { kind, version } = await inspect(session, label)
    if (kind === 'new') throw new StoreError('not_found', `there is no store in ${label}`)
    await assertUnused(session, label)
    if (version !== MIGRATIONS.length) {
      throw new StoreError(
        'conflict',
        `${label} is of another version: start and stop the daemon of this version on it first`,
      )
    }
    await session.exec('begin isolation level repeatable read read only')
    return { ...toSource(session, label), [Symbol.asyncDispose]: () => session.close() }
  })
}

/** An empty store, made when there is none. @throws StoreError `locked`, `conflict` when it has content */
export async function createPostgresRows(where: Where): Promise<RowTarget> {
  return await open(where, async (session, label) => {
    const { kind } = await inspect(session, label)
    await assertUnused(session, label)
    await migrate(session, { label, migrations: MIGRATIONS })
    let isKept = false
    const source = toSource(session, label)
    const dispose = async () => {
      if (!isKept && session.isOpen) await session.exec('rollback')
      if (!isKept && session.isOpen && kind === 'new') await session.exec('drop schema swarm cascade')
      await session.close()
    }
    try {
      const tables = await source.listTables()
      await session.exec('begin')
      for (const table of tables) {
        if ((await source.countRows(table)) === 0) continue
        throw new StoreError('conflict', `${label} has content: a store is copied to an empty database`)
      }
      for (const { name } of tables) await session.exec(`alter table ${quote(name)} disable trigger user`)
      return {
        ...source,
        insert: (table, rows) => insert(session, table, rows),
        async find(table, key) {
          const condition = table.key.map((column, index) => `${quote(column)} = $${index + 1}`).join(' and ')
          return (await selectRows(session, table, `where ${condition}`, key))[0]
        },
        async writeSequences(sequences) {
          for (const [name, last] of Object.entries(sequences)) {
            await session.query("select setval(pg_get_serial_sequence($1, 'seq'), $2)", [
              `swarm.${name}`,
              last,
            ])
          }
        },
        async keep() {
          for (const { name } of tables) await session.exec(`alter table ${quote(name)} enable trigger user`)
          await session.exec('commit')
          isKept = true
        },
        [Symbol.asyncDispose]: dispose,
      }
    } catch (error) {
      await dispose()
      throw error
    }
  })
}

async function open<T>(
  { location, password }: Where,
  work: (session: Session, label: string) => Promise<T>,
): Promise<T> {
  const target = await toTarget(location, password)
  const { label } = target
  try {
    const session = await openSession({ target, statementTimeoutMs: STATEMENT_TIMEOUT_MS })
    try {
      await assertServer(session, label)
      await session.exec('set idle_in_transaction_session_timeout = 0')
      await lockOthersOut(session)
      return await work(session, label)
    } catch (error) {
      await session.close()
      throw error
    }
  } catch (error) {
    throw toStoreError(error, label)
  }
}

/** Whoever opens the store from now on waits until this connection ends. */
async function lockOthersOut(session: Session): Promise<void> {
  await session.exec(`select pg_advisory_lock(${LOCK_CLASS}, ${MIGRATION_LOCK})`)
}

async function assertUnused(session: Session, label: string): Promise<void> {
  const others = await session.query<{ pid: number; client: string | null }>(
    `select pid, client_addr::text as client from pg_stat_activity
     where datname = current_database() and application_name = 'swarm' and pid <> pg_backend_pid()`,
  )
  const [other] = others
  if (other === undefined) return
  const who = other.client === null ? 'a coordinator' : `a coordinator on ${other.client}`
  throw new StoreError('locked', `${who} has ${label} open: stop every coordinator of it first`)
}

function toSource(session: Session, label: string): Omit<RowSource, typeof Symbol.asyncDispose> {
  return {
    label,
    listTables: () => listTables(session),
    async countRows(table) {
      const [row] = await session.query<{ count: number }>(
        `select count(*) as count from ${quote(table.name)}`,
      )
      return row?.count ?? 0
    },
    async readPage(table, afterKey, countMax) {
      const key = table.key.map(quote).join(', ')
      const marks = table.key.map((_, index) => `$${index + 1}`).join(', ')
      const behind = afterKey === undefined ? '' : `where (${key}) > (${marks})`
      return await selectRows(session, table, `${behind} order by ${key} limit ${countMax}`, afterKey ?? [])
    },
    async readSequences() {
      const sequences = await session.query<{ name: string; last: number | null }>(
        `select c.relname as name, pg_sequence_last_value(pg_get_serial_sequence('swarm.' || c.relname, 'seq')::regclass) as last
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         join pg_attribute a on a.attrelid = c.oid and a.attidentity <> ''
         where n.nspname = 'swarm' and c.relkind = 'r'`,
      )
      return Object.fromEntries(sequences.flatMap(({ name, last }) => (last === null ? [] : [[name, last]])))
    },
  }
}

async function listTables(session: Session): Promise<readonly StoreTable[]> {
  return await session.query<StoreTable>(
    `select c.relname as name,
       array(select a.attname::text from pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
             order by a.attname::text collate "C") as columns,
       array(select a.attname::text from pg_index i
             cross join lateral unnest(i.indkey) with ordinality as k(number, place)
             join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
             where i.indrelid = c.oid and i.indisprimary order by k.place) as key,
       array(select distinct o.relname::text from pg_constraint f join pg_class o on o.oid = f.confrelid
             where f.conrelid = c.oid and f.contype = 'f') as references
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'swarm' and c.relkind = 'r' and c.relname not in ('store_info', 'status_transitions')
     order by c.relname`,
  )
}

async function selectRows(
  session: Session,
  table: StoreTable,
  rest: string,
  parameters: readonly RowValue[],
): Promise<readonly Row[]> {
  const names = table.columns.map(quote).join(', ')
  const rows = await session.query<Readonly<Record<string, RowValue>>>(
    `select ${names} from ${quote(table.name)} ${rest}`,
    parameters,
  )
  return rows.map((row) => table.columns.map((column) => row[column] ?? null))
}

async function insert(session: Session, table: StoreTable, rows: readonly Row[]): Promise<void> {
  const names = table.columns.map(quote).join(', ')
  for (let at = 0; at < rows.length; at += INSERT_COUNT_MAX) {
    const part = rows.slice(at, at + INSERT_COUNT_MAX)
    const width = table.columns.length
    const marks = part.map(
      (_, row) => `(${table.columns.map((_column, index) => `$${row * width + index + 1}`).join(', ')})`,
    )
    await session.query(`insert into ${quote(table.name)} (${names}) values ${marks.join(', ')}`, part.flat())
  }
}

/** Names of tables and columns are the store's own. */
function quote(name: string): string {
  return `"${name}"`
}
