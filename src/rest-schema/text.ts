import * as z from 'zod'
import { type IdKind, isId, toId } from '../domain/id.ts'
import type { Json, JsonObject } from '../domain/json.ts'

/**
 * What a text from outside may hold: everything but NUL (no database of ours keeps it) and halves of surrogate
 * pairs (they have no UTF-8). Control characters, template syntax and shell metacharacters are kept as they are.
 */
export function isStorableText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

const NOT_STORABLE = 'holds a NUL character or half of a surrogate pair'

/** A text of `min` to `max` characters (UTF-16 units). */
export function textSchema(max: number, min = 0) {
  return z.string().min(min).max(max).refine(isStorableText, NOT_STORABLE)
}

/** Any JSON value whose texts, keys included, can be stored. */
export const jsonSchema = z
  .unknown()
  .refine(hasStorableTexts, NOT_STORABLE)
  .meta({ description: 'Any JSON value' }) as unknown as z.ZodType<Json, Json>

/** A JSON object whose texts, keys included, can be stored. */
export const jsonObjectSchema = z
  .record(z.string(), z.unknown())
  .refine(hasStorableTexts, NOT_STORABLE)
  .meta({ description: 'Any JSON object' }) as unknown as z.ZodType<JsonObject, JsonObject>

/** The door limits depth before this is called. */
function hasStorableTexts(value: unknown): boolean {
  if (typeof value === 'string') return isStorableText(value)
  if (Array.isArray(value)) return value.every(hasStorableTexts)
  if (value === null || typeof value !== 'object') return true
  return Object.entries(value).every(([key, entry]) => isStorableText(key) && hasStorableTexts(entry))
}

/** The identifier a kind's `toId` gives, so that the two cannot drift apart. */
type IdOf<Kind extends IdKind> = ReturnType<typeof toId<Kind>>

/** An identifier of this kind: `run_01kb3v8r2n4w6y8a0c2e4g6j8m`. */
export function idSchema<Kind extends IdKind>(kind: Kind): z.ZodType<IdOf<Kind>, string> {
  const prefix = toId(kind, 0, new Uint8Array()).slice(0, 4)
  const schema = z
    .string()
    .max(40)
    .refine((text) => isId(kind, text), `is not an identifier of the form ${prefix}…`)
    .meta({ description: `Identifier, begins with \`${prefix}\`` })
  // The check above is what makes the brand true.
  return schema as unknown as z.ZodType<IdOf<Kind>, string>
}

/** An instant as ISO 8601 in UTC with milliseconds. */
export const instantSchema = z.iso.datetime().meta({ description: 'Instant, ISO 8601 in UTC' })

/** A comma-separated list in a query: `status=pending,running`. */
export function commaListSchema<T extends z.ZodType<string>>(item: T, max = 50) {
  return z.preprocess(
    (value) => (typeof value === 'string' ? value.split(',').filter((part) => part !== '') : value),
    z.array(item).max(max),
  )
}

/** A flag in a query: `true` or `false`, nothing else. */
export const flagSchema = z.enum(['true', 'false']).transform((word) => word === 'true')

export const cursorSchema = z
  .string()
  .min(1)
  .max(500)
  .regex(/^[A-Za-z0-9_\-.=]+$/)
  .meta({ description: '`nextCursor` of the page before; opaque' })

export const pageCountSchema = z.coerce
  .number()
  .int()
  .min(1)
  .max(200)
  .default(50)
  .meta({ description: 'Entries of a page at most' })
