import type { Compilable, CompiledQuery, Insertable, Kysely, Selectable, Updateable } from 'kysely'
import type { StoreDialect } from './dialect.ts'
import type { Database } from './schema.ts'

type Values = Readonly<Record<string, unknown>>
/** What a query is built on: a transaction has it */
type Base = { readonly db: Kysely<Database>; readonly dialect: StoreDialect }

/**
 * A query whose text is always the same, built and compiled once for each database instead of at every call: the
 * building is most of what a short statement costs. `build` sees marks in place of the values; it may pass them on,
 * each to one place or several, but must not look at them.
 */
export function prepareQuery<Given extends Values, Row>(
  build: (base: Base, given: Given) => Compilable<Row>,
): (base: Base, given: Given) => Promise<readonly Row[]> {
  const templates = new WeakMap<Kysely<Database>, Template<Row>>()
  return async (base, given) => {
    let template = templates.get(base.db)
    if (template === undefined) {
      template = toTemplate(build(base, toMarks(Object.keys(given)) as Given).compile())
      templates.set(base.db, template)
    }
    return await run(base.db, template, given)
  }
}

/** Inserts one row and gives it back as it is then. Compiled once for each set of columns; no value is left out. */
export function prepareInsert<Table extends keyof Database>(
  table: Table,
): (base: Base, values: Insertable<Database[Table]>) => Promise<Selectable<Database[Table]>> {
  type Row = Selectable<Database[Table]>
  const inserts = new Map<string, (base: Base, values: Values) => Promise<readonly Row[]>>()
  return async (base, values) => {
    const given = values as Values
    const columns = Object.keys(given).join()
    let insert = inserts.get(columns)
    if (insert === undefined) {
      insert = prepareQuery<Values, Row>(({ db }, marks) => {
        const query = db
          .insertInto(table)
          .values(marks as never)
          .returningAll()
        return query as unknown as Compilable<Row>
      })
      inserts.set(columns, insert)
    }
    const [row] = await insert(base, given)
    if (row === undefined) throw new Error(`the row inserted into ${table} did not come back`)
    return row
  }
}

/** Changes the one row that has these values and gives it back; `undefined` when there is none. Compiled once for each set of columns. */
export function prepareUpdate<Table extends keyof Database>(
  table: Table,
): (
  base: Base,
  input: { readonly set: Updateable<Database[Table]>; readonly where: Partial<Selectable<Database[Table]>> },
) => Promise<Selectable<Database[Table]> | undefined> {
  type Row = Selectable<Database[Table]>
  const updates = new Map<string, (base: Base, values: Values) => Promise<readonly Row[]>>()
  return async (base, { set, where }) => {
    const given = { ...prefix(NEW, set as Values), ...prefix(OLD, where as Values) }
    const columns = Object.keys(given).join()
    let update = updates.get(columns)
    if (update === undefined) {
      update = prepareQuery<Values, Row>(({ db }, marks) => {
        let query = db.updateTable(table as 'tickets').set(withPrefix(NEW, marks))
        for (const [column, mark] of Object.entries(withPrefix(OLD, marks))) {
          query = query.where(column as 'id', '=', mark as never)
        }
        return query.returningAll() as unknown as Compilable<Row>
      })
      updates.set(columns, update)
    }
    const [row] = await update(base, given)
    return row
  }
}

/** A column may be in both parts of an update, with two values. */
const NEW = 'new '
const OLD = 'old '

function prefix(word: string, values: Values): Values {
  // As the builder does: what is undefined is not named.
  const entries = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries.map(([name, value]) => [`${word}${name}`, value]))
}

function withPrefix(word: string, values: Values): Values {
  const entries = Object.entries(values).filter(([name]) => name.startsWith(word))
  return Object.fromEntries(entries.map(([name, value]) => [name.slice(word.length), value]))
}

type Template<Row> = {
  readonly query: CompiledQuery<Row>
  /** For each parameter: whose value it is, or the constant */
  readonly places: readonly ({ readonly name: string } | { readonly constant: unknown })[]
}

class Mark {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

function toMarks(names: readonly string[]): Values {
  return Object.fromEntries(names.map((name) => [name, new Mark(name)]))
}

function toTemplate<Row>(query: CompiledQuery<Row>): Template<Row> {
  const places = query.parameters.map((value) =>
    value instanceof Mark ? { name: value.name } : { constant: value },
  )
  return { query, places }
}

async function run<Row>(
  db: Kysely<Database>,
  { query, places }: Template<Row>,
  given: Values,
): Promise<readonly Row[]> {
  const parameters = places.map((place) => ('name' in place ? given[place.name] : place.constant))
  const { rows } = await db.executeQuery<Row>({ ...query, parameters })
  return rows
}
