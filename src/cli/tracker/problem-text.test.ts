import { expect, test } from 'vitest'
import { groupProblems } from './problem-text.ts'

const problem = (externalId: string | null, text = 'its title is empty', severity = 'refused') => ({
  externalId,
  severity,
  problem: text,
  fix: 'give it a title',
})

test('what is said of several tickets is said once, with their names', () => {
  expect(groupProblems([problem('3'), problem('7', 'its status is NULL'), problem('4')])).toEqual([
    { severity: 'refused', text: 'tickets 3, 4: its title is empty', fix: 'give it a title' },
    { severity: 'refused', text: 'ticket 7: its status is NULL', fix: 'give it a title' },
  ])
})

test('many tickets are named in part, and what concerns all of them names none', () => {
  const many = Array.from({ length: 8 }, (_, at) => problem(String(at)))
  expect(groupProblems([...many, problem(null, 'it cannot be written')]).map(({ text }) => text)).toEqual([
    'tickets 0, 1, 2, 3, 4 and 3 more: its title is empty',
    'it cannot be written',
  ])
})

test('a note and a refusal of the same words are two', () => {
  expect(groupProblems([problem('1'), problem('2', 'its title is empty', 'note')])).toHaveLength(2)
})
