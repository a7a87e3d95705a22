import { expect, test } from 'vitest'
import { isId, toId } from './id.ts'
import { isProjectKey } from './project.ts'
import { parseTicketKey } from './ticket.ts'

const bytes = (fill: number) => new Uint8Array(16).fill(fill)

test('identifiers sort by the time of their creation', () => {
  const ids = [1, 31, 32, 1_700_000_000_000, 1_700_000_000_001].map((now) => toId('run', now, bytes(7)))
  expect([...ids].sort()).toEqual(ids)
})

test('an identifier says what it names', () => {
  const id = toId('ticket', 5, bytes(255))
  expect(id).toBe('tkt_0000000005zzzzzzzzzzzzzzzz')
  expect(isId('ticket', id)).toBe(true)
  expect(isId('run', id)).toBe(false)
  expect(isId('ticket', `${id}x`)).toBe(false)
})

test.each(['WEB-1', 'A2-999999999'])('%s is a ticket key', (key) => {
  expect(parseTicketKey(key)).toBeDefined()
})

test.each(['', 'web-1', 'WEB-0', 'WEB-01', 'WEB-1\n', 'W-1', '--help', 'WEB-1; rm'])(
  '%j is no ticket key',
  (key) => {
    expect(parseTicketKey(key)).toBeUndefined()
  },
)

test('a project key is a short upper-case word', () => {
  expect(['WEB', 'A1', 'ABCDEFGHIJ'].every(isProjectKey)).toBe(true)
  expect(['W', 'web', '1A', 'ABCDEFGHIJK', 'A-B', '../X'].some(isProjectKey)).toBe(false)
})
