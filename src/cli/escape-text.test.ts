import fc from 'fast-check'
import { expect, test } from 'vitest'
import { escapeLine, escapeLines, escapeProgramOutput, toSafeJson } from './escape-text.ts'

const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/

test('text that a terminal would obey is shown, not obeyed', () => {
  expect(escapeLine('a\u001b[2Jb\u009b31mc\u202ed\ne\tf')).toBe('a\\x1b[2Jb\\x9b31mc\\u202ed\\ne\\tf')
  expect(escapeLines('a\u0007\r\nb\rc\td')).toBe('a\\x07\nb\\rc\td')
  expect(escapeProgramOutput('\u001b[1;31mred\u001b[0m \u001b]0;title\u0007')).toBe('red \\x1b]0;title\\x07')
})

test('no text brings a control character through', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(OBEYED.test(escapeLine(text))).toBe(false)
      expect(OBEYED.test(escapeLines(text))).toBe(false)
      expect(OBEYED.test(escapeProgramOutput(text))).toBe(false)
      expect(OBEYED.test(toSafeJson({ text }))).toBe(false)
    }),
  )
})

test('JSON reads back as the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(toSafeJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})

test('letters of every script are left alone', () => {
  expect(escapeLine('naïve — 日本語 🎉 עברית')).toBe('naïve — 日本語 🎉 עברית')
})
