import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isPlainName, toPrintableName, toPrintableText } from './printable.ts'

const name = (text: string) => toPrintableName(Buffer.from(text))

test('names show what they hide', () => {
  expect(name('src/größe.ts')).toBe('src/größe.ts')
  expect(name('a\nb\tc')).toBe('a\\nb\\tc')
  expect(name('a\u001b[31mb')).toBe('a\\x1b[31mb')
  expect(name('evil\u202ecod.exe')).toBe('evil\\u202ecod.exe')
  expect(toPrintableName(Buffer.from([0x61, 0xff, 0xc3, 0xb6, 0xc3]))).toBe('a\\xffö\\xc3')
  expect(isPlainName(Buffer.from('-rf'))).toBe(false)
  expect(isPlainName(Buffer.from('a b'))).toBe(true)
})

test('text keeps its lines and loses what a terminal would act on', () => {
  expect(toPrintableText(Buffer.from('+a\r\n+\u001b]0;x\u0007\tb\n'))).toBe('+a\n+\\x1b]0;x\\x07\tb\n')
})

test('U14: no bytes give a control character', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(/[\u0000-\u001f\u007f-\u009f]/.test(toPrintableName(bytes))).toBe(false)
      expect(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(toPrintableText(bytes))).toBe(false)
    }),
  )
})
