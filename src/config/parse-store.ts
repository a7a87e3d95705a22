import {
  isPostgresLocation,
  type PostgresLocation,
  parsePostgresLocation,
} from '../store/postgres-location.ts'

/** A store in one word, without its password. `path` is as `toPath` gives it */
export type StorePlace =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly location: PostgresLocation }

/** @returns what is wrong, when it names no store; never with what was written */
export function parseStore(text: string, toPath: (file: string) => string): StorePlace | string {
  if (isPostgresLocation(text)) {
    const location = parsePostgresLocation(text)
    return typeof location === 'string' ? location : { kind: 'postgres', location }
  }
  const file = /^sqlite:(.+)$/.exec(text)?.[1]
  if (file !== undefined && file !== ':memory:') return { kind: 'sqlite', path: toPath(file) }
  return 'expects sqlite:FILE or postgres://user@host:port/database'
}
