import { afterEach, beforeEach, expect, test } from 'vitest'
import { prepareInsert, prepareQuery, prepareUpdate } from '../../src/store/prepared-query.ts'
import { type Connection, openConnection } from '../../src/store/sqlite/connection.ts'
import { createQueries } from '../../src/store/sqlite/queries.ts'
import { sqliteDialect } from '../../src/store/sqlite/sqlite-dialect.ts'

let connection: Connection
let base: { db: ReturnType<typeof createQueries>; dialect: typeof sqliteDialect }

beforeEach(() => {
  connection = openConnection(':memory:')
  connection.exec('create table counters (name text primary key, value integer)')
  base = { db: createQueries(async (text, values) => connection.run(text, values)), dialect: sqliteDialect }
})
afterEach(() => connection.close())

const select = prepareQuery(({ db }, { from, to }: { readonly from: number; readonly to: number | null }) =>
  db
    .selectFrom('counters')
    .select(['name', 'value'])
    .where('value', '>=', from)
    .where((eb) => eb.or([eb('value', '<=', to), eb('value', '=', from)]))
    .where('name', '!=', 'left out')
    .orderBy('name'),
)

test('each call has its own values, wherever they stand and however often; constants stay', async () => {
  const insert = prepareInsert('counters')
  for (const [name, value] of [
    ['a', 1],
    ['b', 2],
    ['c', 3],
    ['left out', 2],
  ] as const) {
    expect(await insert(base, { name, value })).toEqual({ name, value })
  }
  expect(await select(base, { from: 1, to: 2 })).toMatchObject([{ name: 'a' }, { name: 'b' }])
  expect(await select(base, { from: 2, to: 3 })).toMatchObject([{ name: 'b' }, { name: 'c' }])
  expect(await select(base, { from: 3, to: null })).toMatchObject([{ name: 'c' }])
  expect(await select(base, { from: 4, to: 9 })).toEqual([])
})

test('the order of the columns is the order in which they are given, also when it changes', async () => {
  const insert = prepareInsert('counters')
  expect(await insert(base, { name: 'a', value: 1 })).toEqual({ name: 'a', value: 1 })
  expect(await insert(base, { value: 2, name: 'b' })).toEqual({ name: 'b', value: 2 })
})

test('a change finds its row by values that it may change itself; what is undefined is left alone', async () => {
  const insert = prepareInsert('counters')
  const update = prepareUpdate('counters')
  await insert(base, { name: 'a', value: 1 })
  const move = { set: { value: 2 }, where: { name: 'a', value: 1 } }
  expect(await update(base, move)).toEqual({ name: 'a', value: 2 })
  expect(await update(base, move)).toBeUndefined()
  const rename = { set: { name: 'b', value: undefined }, where: { name: 'a' } }
  expect(await update(base, rename as unknown as typeof move)).toEqual({ name: 'b', value: 2 })
})

test('two databases do not share what was prepared', async () => {
  const other = openConnection(':memory:')
  other.exec('create table counters (name text primary key, value integer)')
  const otherBase = { ...base, db: createQueries(async (text, values) => other.run(text, values)) }
  const insert = prepareInsert('counters')
  await insert(base, { name: 'a', value: 1 })
  await insert(otherBase, { name: 'b', value: 1 })
  expect(await select(base, { from: 0, to: 9 })).toMatchObject([{ name: 'a' }])
  expect(await select(otherBase, { from: 0, to: 9 })).toMatchObject([{ name: 'b' }])
  other.close()
})
