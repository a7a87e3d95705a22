import { expect, test } from 'vitest'
import { resolveInputs } from './resolve-inputs.ts'

const WORKFLOW = {
  inputs: {
    name: { type: 'string', required: true },
    count: { type: 'number', required: false, default: 3 },
    list: { type: 'array', required: false },
    flag: { type: 'boolean', required: false, default: false },
    object: { type: 'object', required: false },
  },
} as const

test('what was given wins over defaults, and an input without either is null', () => {
  expect(resolveInputs(WORKFLOW, { name: 'x', flag: true })).toEqual({
    ok: true,
    inputs: { name: 'x', count: 3, list: null, flag: true, object: null },
  })
})

test('null counts as not given', () => {
  expect(resolveInputs(WORKFLOW, { name: 'x', count: null })).toMatchObject({ inputs: { count: 3 } })
  expect(resolveInputs(WORKFLOW, { name: null })).toMatchObject({ problems: ['the input "name" is missing'] })
})

test('missing, unknown and ill-typed inputs are each said', () => {
  expect(resolveInputs(WORKFLOW, { cuont: 3, list: 'a', object: [], flag: 'true' })).toEqual({
    ok: false,
    problems: [
      'there is no input "cuont" (did you mean "count"?)',
      'the input "name" is missing',
      'the input "list" must be of type array, it is a string',
      'the input "flag" must be of type boolean, it is a string',
      'the input "object" must be of type object, it is an array',
    ],
  })
})

test('names that every object inherits are no inputs', () => {
  const given = JSON.parse('{"name": "x", "__proto__": 1, "constructor": 2, "toString": 3}')
  const result = resolveInputs(WORKFLOW, given)
  expect(!result.ok && result.problems.length).toBe(3)
  expect(
    resolveInputs({ inputs: { toString: { type: 'string' as const, required: true } } }, {}),
  ).toMatchObject({
    ok: false,
  })
})
