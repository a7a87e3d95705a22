import type { Compilable, CompiledQuery, Insertable, Kysely, Selectable } from 'kysely'
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
