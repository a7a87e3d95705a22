import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../domain/json.ts'
import { checkValue } from './check-value.ts'

const check = (schema: JsonObject, value: unknown, fillsDefaults = false) =>
  checkValue({ schema, value, fillsDefaults })

describe('a value is checked against its schema', () => {
  const schema: JsonObject = {
    type: 'object',
    properties: { name: { type: 'string' }, count: { type: 'integer', default: 3 } },
    required: ['name'],
    additionalProperties: false,
  }

  test('a good value passes; defaults are filled in where asked, and the original stays', async () => {
    const value = { name: 'x' }
    expect(await check(schema, value)).toEqual({ ok: true, value: { name: 'x' } })
    expect(await check(schema, value, true)).toEqual({ ok: true, value: { name: 'x', count: 3 } })
    expect(value).toEqual({ name: 'x' })
  })

  test.each<[unknown, RegExp]>([
    [{}, /must have required property 'name'/],
    [{ name: 1 }, /\/name must be string/],
    [{ name: 'x', extra: 1 }, /additional properties: "extra"/],
    ['text', /must be object/],
    [null, /must be object/],
    [undefined, /must be object/],
  ])('%j is refused with its place', async (value, expected) => {
    const result = await check(schema, value)
    expect(result.ok ? '' : result.problems.join()).toMatch(expected)
  })
})

describe('a slow check is done apart, under a deadline', () => {
  test('patterns, formats and references work', async () => {
    const schema: JsonObject = {
      type: 'object',
      properties: {
        key: { type: 'string', pattern: '^[A-Z]+-\\d+$' },
        url: { type: 'string', format: 'uri' },
        tree: { $ref: '#/$defs/tree' },
        count: { type: 'integer', default: 1 },
      },
      $defs: {
        tree: { type: 'object', properties: { next: { $ref: '#/$defs/tree' } }, additionalProperties: false },
      },
    }
    const value = { key: 'WEB-1', url: 'https://example.com/', tree: { next: { next: {} } } }
    expect(await check(schema, value, true)).toEqual({ ok: true, value: { ...value, count: 1 } })
    const refused = await check(schema, { key: 'web' })
    expect(refused.ok ? '' : refused.problems.join()).toMatch(/\/key must match pattern/)
  })

  test('a pattern that backtracks for ever ends at the deadline, and the thread that asks stays free', async () => {
    const schema: JsonObject = { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } } }
    let ticks = 0
    const ticking = setInterval(() => ticks++, 50)
    const value = { a: `${'a'.repeat(60)}!` }
    const result = await checkValue({ schema, value, fillsDefaults: false }, { timeoutMs: 800 })
    clearInterval(ticking)
    expect(result.ok ? '' : result.problems.join()).toMatch(/within 800 ms/)
    expect(ticks).toBeGreaterThan(5)
  })
})
