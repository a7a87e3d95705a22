import { escapeLine, escapeLines } from './escape-text.ts'
import type { Output } from './output.ts'

export type Field = readonly [name: string, value: string | number | null | undefined]

/** `name: value` lines, aligned; fields without a value are left out. Values are made harmless. */
export function showFields(output: Output, fields: readonly Field[]): void {
  const shown = fields.filter(([, value]) => value !== null && value !== undefined && value !== '')
  const width = Math.max(0, ...shown.map(([name]) => name.length)) + 1
  for (const [name, value] of shown) {
    output.line(`${output.colors.dim(`${name}:`.padEnd(width))} ${escapeLine(String(value))}`)
  }
}

/** A longer text below an empty line; untrusted text is made harmless. */
export function showText(output: Output, text: string): void {
  if (text === '') return
  output.line('')
  output.line(escapeLines(text.trimEnd()))
}
