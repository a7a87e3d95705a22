import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Json } from '../domain/json.ts'
import { CONDITION_CHARS_MAX, parseCondition } from './condition.ts'
import { evaluateCondition, isEqual } from './evaluate-condition.ts'
import type { Scope } from './expression.ts'

const SCOPE: Scope = {
  inputs: {
    n: 3,
    zero: 0,
    text: "it's",
    flag: true,
    off: false,
    none: null,
    list: [1, 'a', { b: 2 }],
    object: { key: 1 },
  },
  steps: { a: { status: 'failed', outputs: { code: 7 } } },
  item: 'x',
  index: 0,
}

describe('conditions that hold', () => {
  test.each([
    'true',
    'not false',
    'not not true',
    'always',
    'inputs.flag',
    '${inputs.flag}',
    '${ inputs.flag } and true',
    'inputs.n == 3',
    'inputs.n != 4',
    'inputs.n > 2 and inputs.n < 4 and inputs.n >= 3 and inputs.n <= 3',
    'inputs.n == 3.0',
    'inputs.n > -1',
    'inputs.zero < 1e3',
    "steps.a.status == 'failed'",
    '"failed" == steps.a.status',
    "steps.a.outputs.code == 7 and steps.a.status == 'failed'",
    "inputs.text == 'it\\'s'",
    'inputs.text == "it\'s"',
    "'a\\\\b' == 'a\\\\b'",
    'inputs.none == null',
    'not inputs.none',
    "inputs.text contains 't'",
    "inputs.list contains 'a'",
    'inputs.list contains 1',
    "inputs.object contains 'key'",
    "not (inputs.object contains 'other')",
    "not (inputs.none contains 'x')",
    "inputs.list[1] == 'a'",
    "item == 'x' and index == 0",
    'false or true and true',
    'true or false and false',
    '(true or false) and not (false or false)',
    "'a' < 'b'",
    'inputs.list == inputs.list',
    "'and' == 'and'",
  ])('%s', (text) => {
    expect(evaluate(text)).toEqual({ ok: true, value: true })
  })
})

describe('conditions that do not hold', () => {
  test.each([
    'false',
    'null',
    'not true',
    'not always',
    'inputs.off',
    "inputs.n == '3'",
    'inputs.flag == 1',
    'inputs.none == false',
    "inputs.list contains '1'",
    "inputs.object contains 'toString'",
    'false and inputs.missing',
    'true and false or false',
    'inputs.object == inputs.list',
  ])('%s', (text) => {
    expect(evaluate(text)).toEqual({ ok: true, value: false })
  })
})

describe('conditions without an answer are problems', () => {
  test.each([
    ['inputs.missing', 'unresolved'],
    ['inputs.missing == null', 'unresolved'],
    ['true and inputs.missing', 'unresolved'],
    ['inputs.n', 'must be true or false'],
    ['inputs.text or true', 'must be true or false'],
    ["inputs.n < 'a'", 'order'],
    ['inputs.none < 1', 'order'],
    ['inputs.list > 1', 'order'],
    ['inputs.n contains 1', 'cannot contain'],
    ['inputs.text contains 1', 'cannot contain'],
    ['steps.a.outputs.constructor', 'unresolved'],
  ])('%s', (text, why) => {
    const result = evaluate(text)
    expect(result.ok).toBe(false)
    expect(!result.ok && result.problem.message).toContain(why)
  })
})

describe('mistakes of grammar are found with their place', () => {
  test.each([
    ['', 0],
    ['  ', 2],
    ['inputs.n ==', 11],
    ['== 3', 0],
    ['inputs.n = 3', 9],
    ['inputs.a && inputs.b', 9],
    ['inputs.a || inputs.b', 9],
    ['!inputs.a', 0],
    ['(inputs.a', 9],
    ['inputs.a)', 8],
    ['inputs.a inputs.b', 9],
    ['1 < 2 < 3', 6],
    ["steps.a.status == 'failed", 18],
    ['failed', 0],
    ['steps.a.status == failed', 18],
    ["'a\\nb' == 'x'", 2],
    ['${inputs.a', 0],
    ['${} == 1', 2],
    ['inputs.a + 1', 9],
    ['inputs.a; rm -rf', 8],
    ['`id`', 0],
    ['process.exit(1)', 0],
    ['contains', 0],
    ['not', 3],
    ['true and', 8],
    ['1abc == 1', 0],
  ])('%s', (text, offset) => {
    const result = parseCondition(text)
    expect(result).toMatchObject({ ok: false, problem: { offset } })
  })

  test.each([
    ['inputs.a && inputs.b', 'did you mean "and"?'],
    ['inputs.a || inputs.b', 'did you mean "or"?'],
    ['inputs.n = 3', 'did you mean "=="?'],
    ['!inputs.n', 'did you mean "not"?'],
  ])('%s: %s', (text, hint) => {
    expect(parseCondition(text)).toMatchObject({ ok: false, problem: { hint } })
  })
})

test('nesting and length are bounded', () => {
  expect(parseCondition(`${'('.repeat(30)}true${')'.repeat(30)}`)).toMatchObject({ ok: true })
  expect(parseCondition(`${'('.repeat(40)}true${')'.repeat(40)}`)).toMatchObject({ ok: false })
  expect(parseCondition(`${'not '.repeat(40)}true`)).toMatchObject({ ok: false })
  expect(parseCondition('x'.repeat(CONDITION_CHARS_MAX + 1))).toMatchObject({ ok: false })
  expect(parseCondition(Array.from({ length: 200 }, () => 'true').join(' and '))).toMatchObject({ ok: true })
})

test('any text is read or refused, and what is read gives an answer or a problem', () => {
  const pieces = fc.constantFrom(
    'and',
    'or',
    'not',
    '(',
    ')',
    '==',
    '!=',
    '<',
    '>=',
    'contains',
    'true',
    'null',
    '3',
    "'t'",
    '"',
    'inputs.n',
    'inputs.missing',
    '${inputs.flag}',
    'steps.a.status',
    'always',
    '\\',
    '$',
    '&&',
    '-1',
    '.',
  )
  const texts = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 12 }).map((list) => list.join(' ')),
  )
  fc.assert(
    fc.property(texts, (text) => {
      const parsed = parseCondition(text)
      if (parsed.ok) expect(typeof evaluateCondition(parsed.value, SCOPE).ok).toBe('boolean')
      else expect(parsed.problem.offset).toBeLessThanOrEqual(text.length)
    }),
    { numRuns: 800 },
  )
})

test('equality is that of the content', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (left, right) => {
      const [a, b] = [left, right] as [Json, Json]
      expect(isEqual(a, structuredClone(a))).toBe(true)
      expect(isEqual(a, b)).toBe(isEqual(b, a))
    }),
  )
})

function evaluate(text: string) {
  const parsed = parseCondition(text)
  if (!parsed.ok) throw new Error(`${text}: ${parsed.problem.message}`)
  return evaluateCondition(parsed.value, SCOPE)
}
