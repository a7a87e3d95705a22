/**
 * A store as rows, for moving it to another kind of store while nobody has it open. Below the contract: no rule is
 * applied but those of the tables.
 */
import { StoreError } from './errors.ts'

export type RowValue = string | number | null
/** Values in the order of the table's columns */
export type Row = readonly RowValue[]

export type StoreTable = {
  readonly name: string
  /** In the order of their names */
  readonly columns: readonly string[]
  /** Columns of the primary key, in its order */
  readonly key: readonly string[]
  /** Tables whose rows its rows name */
  readonly references: readonly string[]
}

/** Where the rows come from: one state, that nobody changes meanwhile. */
export type RowSource = AsyncDisposable & {
  /** For people */
  readonly label: string
  /** Every table with content, without what a new store already has */
  listTables(): Promise<readonly StoreTable[]>
  countRows(table: StoreTable): Promise<number>
  /** Rows behind this key, in the order of the keys. @param afterKey absent: from the first one */
  readPage(
    table: StoreTable,
    afterKey: readonly RowValue[] | undefined,
    countMax: number,
  ): Promise<readonly Row[]>
  /** Highest number ever given in tables that count, by the table's name */
  readSequences(): Promise<Readonly<Record<string, number>>>
}

/** Where the rows go: an empty store in one transaction. What was not kept is gone when it is disposed of. */
export type RowTarget = RowSource & {
  insert(table: StoreTable, rows: readonly Row[]): Promise<void>
  /** The row with this key, if it is there */
  find(table: StoreTable, key: readonly RowValue[]): Promise<Row | undefined>
  writeSequences(sequences: Readonly<Record<string, number>>): Promise<void>
  /** Keeps everything. */
  keep(): Promise<void>
}

export type CopiedTable = { readonly name: string; readonly rowCount: number }

const PAGE_COUNT = 500

/**
 * Copies every row, then compares each with its source, then keeps the whole.
 * @throws StoreError, and then the target is as it was before
 */
export async function copyRows(
  from: RowSource,
  to: RowTarget,
  { signal }: { readonly signal: AbortSignal },
): Promise<readonly CopiedTable[]> {
  const tables = toInsertOrder(await from.listTables())
  assertSame(tables, await to.listTables(), { from, to })
  for (const table of tables) {
    await eachPage(from, table, signal, (rows) => to.insert(table, rows))
  }
  await to.writeSequences(await from.readSequences())
  const copied: CopiedTable[] = []
  for (const table of tables) copied.push(await verify(from, to, table, signal))
  await to.keep()
  return copied
}

async function eachPage(
  from: RowSource,
  table: StoreTable,
  signal: AbortSignal,
  take: (rows: readonly Row[]) => Promise<void>,
): Promise<void> {
  let afterKey: readonly RowValue[] | undefined
  for (let isMore = true; isMore; ) {
    signal.throwIfAborted()
    const rows = await from.readPage(table, afterKey, PAGE_COUNT)
    if (rows.length > 0) await take(rows)
    isMore = rows.length === PAGE_COUNT
    afterKey = keyOf(table, rows.at(-1) ?? [])
  }
}

async function verify(
  from: RowSource,
  to: RowTarget,
  table: StoreTable,
  signal: AbortSignal,
): Promise<CopiedTable> {
  const differs = (what: string) =>
    new StoreError(
      'conflict',
      `${what} in ${to.label} is not what it is in ${from.label}; nothing was copied`,
    )
  let rowCount = 0
  await eachPage(from, table, signal, async (rows) => {
    for (const row of rows) {
      rowCount++
      const key = keyOf(table, row)
      const found = await to.find(table, key)
      if (found === undefined || row.some((value, index) => value !== found[index])) {
        throw differs(`row ${JSON.stringify(key)} of ${table.name}`)
      }
    }
  })
  if ((await to.countRows(table)) !== rowCount) throw differs(`the number of rows of ${table.name}`)
  return { name: table.name, rowCount }
}

function keyOf(table: StoreTable, row: Row): readonly RowValue[] {
  return table.key.map((column) => row[table.columns.indexOf(column)] ?? null)
}

/** Tables that others name come before these. */
function toInsertOrder(tables: readonly StoreTable[]): readonly StoreTable[] {
  const left = new Map(tables.map((table) => [table.name, table]))
  const ordered: StoreTable[] = []
  while (left.size > 0) {
    const next = [...left.values()].find(({ name, references }) =>
      references.every((other) => other === name || !left.has(other)),
    )
    if (next === undefined) throw new Error(`tables that name each other: ${[...left.keys()].join(', ')}`)
    left.delete(next.name)
    ordered.push(next)
  }
  return ordered
}

function assertSame(
  tables: readonly StoreTable[],
  others: readonly StoreTable[],
  { from, to }: { readonly from: RowSource; readonly to: RowSource },
): void {
  const describe = (list: readonly StoreTable[]) =>
    list
      .map(({ name, columns }) => `${name} (${columns.join(', ')})`)
      .sort()
      .join('\n')
  if (describe(tables) === describe(others)) return
  throw new StoreError('conflict', `${from.label} and ${to.label} do not have the same tables`)
}
