/**
 * PostgreSQL keeps every text but those with U+0000, which tickets from outside may have. It is kept as two other
 * characters, the first of which is one that Unicode will never give to anything.
 */
const ESCAPE = '\u{10fffe}'
const TO_KEPT: Readonly<Record<string, string>> = { '\0': `${ESCAPE}0`, [ESCAPE]: `${ESCAPE}1` }
const FROM_KEPT: Readonly<Record<string, string>> = { '0': '\0', '1': ESCAPE }

/** A parameter as the database takes it. */
export function toKept(value: unknown): unknown {
  if (typeof value !== 'string' || !(value.includes('\0') || value.includes(ESCAPE))) return value
  return value.replaceAll(/\0|\u{10fffe}/gu, (character) => TO_KEPT[character] ?? character)
}

/** A text of the database as it was given. */
export function fromKept(text: string): string {
  if (!text.includes(ESCAPE)) return text
  return text.replaceAll(/\u{10fffe}([01])/gu, (kept, mark: string) => FROM_KEPT[mark] ?? kept)
}
