import { expect, test } from 'vitest'
import { isTerminal, isTransition, listStatuses, type Thing, TRANSITIONS, toTicketStatus } from './status.ts'

const THINGS = Object.keys(TRANSITIONS) as Thing[]

test.each(THINGS)('every move of a %s leads to a status of the same thing', (thing) => {
  const statuses: readonly string[] = listStatuses(thing)
  for (const moves of Object.values(TRANSITIONS[thing])) {
    for (const to of moves) expect(statuses).toContain(to)
  }
})

test.each(THINGS)('no %s moves to the status it has', (thing) => {
  for (const status of listStatuses(thing)) expect(isTransition(thing, status, status)).toBe(false)
})

test('the statuses are the ones people were promised, in their order', () => {
  expect(listStatuses('ticket')).toEqual(
    'draft pending blocked running waiting review done failed canceled'.split(' '),
  )
  expect(listStatuses('run')).toEqual('queued running waiting succeeded failed canceled'.split(' '))
  expect(listStatuses('step')).toEqual('pending running waiting succeeded failed skipped canceled'.split(' '))
  expect(listStatuses('attempt')).toEqual('running succeeded failed lost canceled'.split(' '))
  expect(listStatuses('sandbox')).toEqual('creating ready stopping gone lost'.split(' '))
  expect(listStatuses('pull_request')).toEqual('open merged closed'.split(' '))
  expect(listStatuses('effect')).toEqual('pending sending done dead'.split(' '))
})

test('a done ticket stays done and a succeeded step never runs again', () => {
  expect(TRANSITIONS.ticket.done).toEqual([])
  expect(TRANSITIONS.step.succeeded).toEqual([])
  expect(isTerminal('ticket', 'done')).toBe(true)
})

test('a failed ticket is terminal although a person may requeue it', () => {
  expect(isTerminal('ticket', 'failed')).toBe(true)
  expect(isTransition('ticket', 'failed', 'pending')).toBe(true)
})

test.each([
  ['ready', 'pending'],
  ['In_Progress', 'running'],
  [' cancelled ', 'canceled'],
  ['open', 'pending'],
  ['review', 'review'],
])('the imported spelling %j means %s', (spelling, status) => {
  expect(toTicketStatus(spelling)).toBe(status)
})

test.each(['', 'constructor', '__proto__', 'nonsense'])(
  'the imported spelling %j means nothing',
  (spelling) => {
    expect(toTicketStatus(spelling)).toBeUndefined()
  },
)
