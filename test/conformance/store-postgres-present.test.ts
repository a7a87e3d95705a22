import { expect, test } from 'vitest'
import { whyNoPostgres } from '../support/postgres-server.ts'
import { STORES } from '../support/store.ts'

test('the suite of stores runs on PostgreSQL too', (context) => {
  const isRequired = (process.env.SWARM_REQUIRE ?? '').split(/[\s,]+/).includes('postgres')
  if (whyNoPostgres !== undefined && !isRequired) context.skip(whyNoPostgres)
  expect(whyNoPostgres).toBeUndefined()
  expect(STORES.map(({ name }) => name)).toContain('PostgreSQL')
})
