import pc from 'picocolors'
import { expect, test } from 'vitest'
import { cut, displayWidth, renderTable } from './table.ts'

const colors = pc.createColors(false)

test('columns line up under letters of any width', () => {
  const rows = [
    { name: '日本語', note: 'x' },
    { name: '🎉', note: 'y' },
    { name: 'plain', note: 'z' },
  ]
  const columns = [
    { title: 'NAME', value: (row: (typeof rows)[number]) => row.name },
    { title: 'NOTE', value: (row: (typeof rows)[number]) => row.note },
  ]
  expect(renderTable(rows, columns, { width: null, colors })).toEqual([
    'NAME    NOTE',
    '日本語  x',
    '🎉      y',
    'plain   z',
  ])
})

test('only flexible columns give way on a narrow terminal', () => {
  const rows = [{ key: 'WEB-1', title: 'a title that is much longer than the terminal is wide' }]
  const columns = [
    { title: 'KEY', value: (row: (typeof rows)[number]) => row.key },
    { title: 'TITLE', value: (row: (typeof rows)[number]) => row.title, isFlexible: true },
  ]
  const lines = renderTable(rows, columns, { width: 40, colors })
  expect(lines[1]).toBe('WEB-1  a title that is much longer than…')
  expect(lines.every((line) => displayWidth(line) <= 40)).toBe(true)
})

test('without a terminal no text is cut, and one long text does not widen every other row', () => {
  const columns = [
    { title: 'TITLE', value: (row: string) => row, isFlexible: true },
    { title: 'AGE', value: () => '5s' },
  ]
  const long = 'x'.repeat(500)
  const lines = renderTable([long, 'short'], columns, { width: null, colors })
  expect(lines).toEqual([`${'TITLE'.padEnd(80)}  AGE`, `${long}  5s`, `${'short'.padEnd(80)}  5s`])
})

test('a cell never starts a new line', () => {
  const columns = [{ title: 'T', value: () => 'a\nb\u001b[2K' }]
  expect(renderTable([0], columns, { width: null, colors })).toEqual(['T', 'a\\nb\\x1b[2K'])
})

test('cutting keeps whole letters', () => {
  expect(cut('👩‍👩‍👧abc', 4)).toBe('👩‍👩‍👧a…')
})
