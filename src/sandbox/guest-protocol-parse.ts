/** Strict parsing of the protocol's objects, small enough for the guest: a parser is a function that throws. */
import { ProtocolError } from './guest-protocol.ts'

export type Parser<T> = (value: unknown, path: string) => T

type Shape = Readonly<Record<string, Parser<unknown>>>
type OptionalKeys<S extends Shape> = {
  [K in keyof S]: undefined extends ReturnType<S[K]> ? K : never
}[keyof S]
type Parsed<S extends Shape> = { readonly [K in Exclude<keyof S, OptionalKeys<S>>]: ReturnType<S[K]> } & {
  readonly [K in OptionalKeys<S>]?: Exclude<ReturnType<S[K]>, undefined>
}

/** An object with exactly these fields; an unknown one is an error. */
export function object<S extends Shape>(shape: S): Parser<Parsed<S>> {
  const keys = Object.keys(shape)
  return (value, path) => {
    if (!isPlainObject(value)) return fail(path, 'an object')
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(shape, key)) return fail(`${path}.${key.slice(0, 40)}`, 'a known field')
    }
    const result: Record<string, unknown> = {}
    for (const key of keys) {
      const parsed = shape[key]?.(Object.hasOwn(value, key) ? value[key] : undefined, `${path}.${key}`)
      if (parsed !== undefined) result[key] = parsed
    }
    return result as Parsed<S>
  }
}

export function optional<T>(parser: Parser<T>): Parser<T | undefined> {
  return (value, path) => (value === undefined ? undefined : parser(value, path))
}

export function nullable<T>(parser: Parser<T>): Parser<T | null> {
  return (value, path) => (value === null ? null : parser(value, path))
}

/** Text without NUL. */
export function text(lengthMax: number, pattern?: RegExp): Parser<string> {
  return (value, path) => {
    if (typeof value !== 'string' || value.length > lengthMax || value.includes('\0')) {
      return fail(path, `text of at most ${lengthMax} characters`)
    }
    if (pattern !== undefined && !pattern.test(value)) return fail(path, `text that matches ${pattern}`)
    return value
  }
}

export function integer(min: number, max: number): Parser<number> {
  return (value, path) => {
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      return fail(path, `a whole number from ${min} to ${max}`)
    }
    return value as number
  }
}

export const boolean: Parser<boolean> = (value, path) =>
  typeof value === 'boolean' ? value : fail(path, 'true or false')

export function oneOf<const T extends readonly string[]>(words: T): Parser<T[number]> {
  return (value, path) =>
    words.includes(value as string) ? (value as T[number]) : fail(path, words.join(', '))
}

export function list<T>(item: Parser<T>, countMax: number): Parser<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length > countMax) return fail(path, `a list of at most ${countMax}`)
    return value.map((entry, index) => item(entry, `${path}[${index}]`))
  }
}

/** Text by name; names and values without NUL, names without `=`. */
export function textByName(countMax: number, lengthMax: number): Parser<Readonly<Record<string, string>>> {
  const parseText = text(lengthMax)
  return (value, path) => {
    if (!isPlainObject(value)) return fail(path, 'an object of texts')
    const entries = Object.entries(value)
    if (entries.length > countMax) return fail(path, `at most ${countMax} entries`)
    const result: Record<string, string> = Object.create(null)
    for (const [name, entry] of entries) {
      if (!/^[^\0=]{1,256}$/.test(name)) return fail(path, 'names without "="')
      result[name] = parseText(entry, `${path}.${name.slice(0, 40)}`)
    }
    return result
  }
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fail(path: string, expected: string): never {
  throw new ProtocolError(`${path}: expected ${expected}`)
}
