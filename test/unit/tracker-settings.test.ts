import { expect, test } from 'vitest'
import { TRACKER_COLUMNS } from '../../src/config/tracker-settings.ts'
import { MAPPED_PARTS } from '../../src/tracker/sqlite-table/mapping.ts'
import { toKebab } from '../../src/tracker/sqlite-table/setting-name.ts'

test('the configuration knows every part that a table of tickets may have a column for', () => {
  expect([...TRACKER_COLUMNS]).toEqual(MAPPED_PARTS.map(toKebab))
})
