import { expect, test } from 'vitest'
import { DEFAULT_COLUMNS, DEFAULT_STATUSES, MAPPED_PARTS } from './mapping.ts'
import { toMapping, type WrittenMapping } from './to-mapping.ts'

const WRITTEN: WrittenMapping = {
  name: 'legacy',
  path: '/srv/swarm.db',
  table: null,
  columns: {},
  statuses: {},
  types: {},
  priorities: {},
  workflow: null,
  agent: null,
  labels: [],
}

test('without a word every default holds, where its column exists', () => {
  const { table, columns, statuses } = toMapping(WRITTEN)
  expect(table).toBe('tickets')
  expect(statuses).toEqual(DEFAULT_STATUSES)
  for (const part of MAPPED_PARTS) {
    const usual = DEFAULT_COLUMNS[part]
    expect(columns[part]).toEqual(usual === null ? null : { column: usual, isExplicit: false })
  }
})

test('what was written wins; null takes a part away', () => {
  const { table, columns, statuses } = toMapping({
    ...WRITTEN,
    table: 'issues',
    columns: { 'claimed-by': 'worker', 'created-at': null },
    statuses: { pending: ['open', 'ready'], canceled: [] },
  })
  expect(table).toBe('issues')
  expect(columns.claimedBy).toEqual({ column: 'worker', isExplicit: true })
  expect(columns.createdAt).toBeNull()
  expect(statuses).toEqual({ ...DEFAULT_STATUSES, pending: ['open', 'ready'], canceled: [] })
})

test('a default that is used for something else is dropped', () => {
  const { columns, statuses } = toMapping({
    ...WRITTEN,
    columns: { body: 'Result' },
    statuses: { review: ['done'] },
  })
  expect(columns.body).toEqual({ column: 'Result', isExplicit: true })
  expect(columns.result).toBeNull()
  expect(statuses.done).toEqual([])
  expect(statuses.review).toEqual(['done'])
})
