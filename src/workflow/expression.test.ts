import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Json } from '../domain/json.ts'
import { RESOLVED_CHARS_MAX, resolveValue, type Scope } from './expression.ts'
import { parseReference, parseTextTemplate } from './reference.ts'

const SCOPE: Scope = {
  inputs: { n: 3, flag: true, none: null, list: ['a', { b: 1 }], object: { key: 'v', 'a b': 'spaced' } },
  ticket: { title: 'A title', labels: ['x', 'y'] },
  steps: () => ({ build: { status: 'succeeded', outputs: { path: 'dist', '0': 'zero' } } }),
}

describe('a text that is one reference keeps the type of its value', () => {
  test.each<[string, Json]>([
    ['${inputs.n}', 3],
    ['${inputs.flag}', true],
    ['${inputs.none}', null],
    ['${inputs.list}', ['a', { b: 1 }]],
    ['${ inputs.list[1].b }', 1],
    ['${inputs.list.0}', 'a'],
    ["${inputs.object['a b']}", 'spaced'],
    ['${ticket.labels[1]}', 'y'],
    ['${steps.build.outputs.path}', 'dist'],
    ['${steps.build.outputs.0}', 'zero'],
    ['${steps.build.status}', 'succeeded'],
  ])('%s', (text, value) => {
    expect(resolveValue(text, SCOPE)).toEqual({ ok: true, value })
  })
})

describe('within other text a reference becomes text', () => {
  test.each([
    ['${inputs.n} and ${inputs.flag}', '3 and true'],
    ['[${inputs.none}]', '[]'],
    ['list: ${inputs.list}', 'list: ["a",{"b":1}]'],
    ['${ticket.title}!', 'A title!'],
    ['a $${inputs.n} b', 'a ${inputs.n} b'],
    ['$${', '${'],
    ['$$${inputs.n}', '$${inputs.n}'],
    ['cost: 5$', 'cost: 5$'],
    ['$${a} ${inputs.n}', '${a} 3'],
    ['}{', '}{'],
  ])('%s → %s', (text, value) => {
    expect(resolveValue(text, SCOPE)).toEqual({ ok: true, value })
  })
})

describe('an unresolved reference is a problem with its place', () => {
  test.each([
    ['${inputs.missing}', 2, 'there is no "missing" in it'],
    ['at ${inputs.list[7]}', 5, 'there is no element 7 in it'],
    ['${inputs.list.length}', 2, 'there is no "length" in it'],
    ['${inputs.n.toFixed}', 2, 'there is no "toFixed" in it'],
    ['${ticket.title[0]}', 2, 'there is no element 0 in it'],
    ['${inputs.none.x}', 2, 'there is no "x" in it'],
    ['${item}', 2, '"item" does not exist here'],
    ['${index}', 2, '"index" does not exist here'],
    ['${steps.other.outputs}', 2, 'there is no "other" in it'],
  ])('%s', (text, offset, why) => {
    const result = resolveValue({ deep: [text] }, SCOPE)
    expect(result).toMatchObject({ ok: false, problem: { offset, path: ['deep', 0] } })
    expect(JSON.stringify(result)).toContain(JSON.stringify(why).slice(1, -1))
  })
})

test.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'])(
  'what an object inherits is unresolved: %s',
  (name) => {
    for (const path of [name, `object.${name}`, `object['${name}']`, `list.${name}`]) {
      expect(resolveValue(`\${inputs.${path}}`, SCOPE)).toMatchObject({ ok: false })
    }
  },
)

test('a key __proto__ in data is neither followed nor made into a prototype', () => {
  const hostile: Json = JSON.parse('{"__proto__": {"polluted": true}}')
  expect(resolveValue('${inputs.__proto__}', { inputs: hostile })).toMatchObject({ ok: false })
  const copy = resolveValue({ with: hostile }, {})
  expect(copy.ok && Object.getPrototypeOf((copy.value as { with: object }).with)).toBe(Object.prototype)
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
})

test('what a reference gives is never read for references again', () => {
  const scope: Scope = { inputs: { a: '${inputs.b}', b: 'secret' } }
  expect(resolveValue('${inputs.a}', scope)).toEqual({ ok: true, value: '${inputs.b}' })
  expect(resolveValue('x ${inputs.a}', scope)).toEqual({ ok: true, value: 'x ${inputs.b}' })
})

test('a value that grows without bound is refused', () => {
  const scope: Scope = { ticket: { body: 'x'.repeat(RESOLVED_CHARS_MAX / 4) } }
  expect(resolveValue('${ticket.body}'.repeat(4), scope)).toMatchObject({ ok: true })
  const many = Array.from({ length: 5 }, () => '${ticket.body}')
  expect(resolveValue(many, scope)).toMatchObject({ ok: false, problem: { path: [4] } })
})

test.each([
  ['${', 0],
  ['a ${inputs.x', 2],
  ['${}', 2],
  ['${ }', 3],
  ['${nope.x}', 2],
  ['${inputs..x}', 8],
  ['${inputs.x y}', 10],
  ['${inputs[x]}', 8],
  ['${process.env.HOME}', 2],
  ['${inputs.x + 1}', 10],
  ['${inputs.x()}', 10],
  ['${`id`}', 2],
])('%s is a mistake at %i', (text, offset) => {
  expect(parseTextTemplate(text)).toMatchObject({ ok: false, problem: { offset } })
})

test('any text is read or refused, and text without ${ is itself', () => {
  const pieces = fc.constantFrom(
    '${',
    '}',
    '$',
    'inputs',
    '.',
    '[0]',
    ' ',
    "['",
    "']",
    'x',
    '__proto__',
    '$${',
  )
  const texts = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 20 }).map((list) => list.join('')),
  )
  fc.assert(
    fc.property(texts, (text) => {
      const result = resolveValue(text, SCOPE)
      if (!text.includes('${')) expect(result).toEqual({ ok: true, value: text })
      else if (!result.ok) expect(result.problem.offset).toBeLessThanOrEqual(text.length)
    }),
    { numRuns: 400 },
  )
})

test('any JSON without references resolves to itself', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      fc.pre(!JSON.stringify(value).includes('${'))
      const result = resolveValue(value as Json, SCOPE)
      expect(result.ok && JSON.stringify(result.value)).toBe(JSON.stringify(value))
    }),
  )
})

test('a reference knows its path', () => {
  expect(parseReference("steps.build-it.outputs[0]['a b'].x_1")).toMatchObject({
    ok: true,
    value: { path: ['steps', 'build-it', 'outputs', 0, 'a b', 'x_1'], offset: 0 },
  })
})
