import { StoreError, type StoreErrorCode } from '../errors.ts'
import { GUARDED, ILLEGAL_TRANSITION } from './postgres-dialect.ts'

/** What the server answers when it refuses: `code` is an SQLSTATE. */
export type SqlError = Error & { readonly code: string; readonly detail?: string }

/** The server cannot be reached, or stopped answering. What was under way may or may not have happened. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError'
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

export function isSqlError(error: unknown): error is SqlError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^[0-9A-Z]{5}$/.test(error.code) &&
    'severity' in error
  )
}

/**
 * Whether the connection is of no use any more: it broke, or the server said that it ends, starts or has no room for
 * another one.
 */
export function isConnectionTrouble(error: unknown): boolean {
  if (error instanceof ConnectionLostError) return true
  return isSqlError(error) && (error.code.startsWith('08') || CONNECTION_STATES.has(error.code))
}

const CONNECTION_STATES: ReadonlySet<string> = new Set([
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
  '25P03', // idle_in_transaction_session_timeout
  '53300', // too_many_connections
])

/** Whether the same transaction, begun anew, may well succeed: it met another one. */
export function isCollision(error: unknown): boolean {
  if (!isSqlError(error)) return false
  if (error.code === '0A000') return error.message.includes('cached plan')
  return ['40001', '40P01'].includes(error.code)
}

/** Whether a row was there that a read before had not seen: another transaction may have just written it. */
export function isDuplicate(error: unknown): boolean {
  return isSqlError(error) && error.code === '23505'
}

type Meaning = { readonly code: StoreErrorCode; readonly text: string }

const MEANINGS: Readonly<Record<string, Meaning>> = {
  [ILLEGAL_TRANSITION]: { code: 'illegal_transition', text: 'the database refused' },
  [GUARDED]: { code: 'conflict', text: 'the database refused' },
  '22021': {
    code: 'conflict',
    text: 'the database cannot keep this text, it has a character with the code 0',
  },
  '22P05': { code: 'conflict', text: 'the database cannot keep this text' },
  '54000': { code: 'conflict', text: 'the database cannot keep a name or label as long as this' },
  '53100': { code: 'disk_full', text: 'no room on the disk of the server; nothing was changed' },
  '53200': { code: 'unavailable', text: 'the server has no memory left' },
  '25006': {
    code: 'read_only',
    text: 'the server takes no writes, it may be a standby: give the address of the primary',
  },
  '42501': { code: 'unavailable', text: 'this user lacks a permission' },
  '42P01': { code: 'corrupt', text: 'a table is missing: restore a backup' },
  '42703': { code: 'corrupt', text: 'a column is missing: restore a backup' },
  '3D000': { code: 'unavailable', text: 'there is no such database: make it with createdb' },
  XX001: { code: 'corrupt', text: 'data is damaged: restore a backup' },
  XX002: { code: 'corrupt', text: 'an index is damaged: restore a backup' },
}

/** Turns PostgreSQL's trouble into the family's; what is neither the database's nor ours passes through. */
export function toStoreError(error: unknown, label: string): unknown {
  if (error instanceof StoreError) return error
  const cause = { cause: error }
  if (error instanceof ConnectionLostError) {
    return new StoreError('unavailable', `${label} cannot be reached: ${error.message}`, cause)
  }
  if (!isSqlError(error)) return error
  const why = `${error.message} (SQLSTATE ${error.code})`
  const meaning = MEANINGS[error.code]
  if (meaning !== undefined) return new StoreError(meaning.code, `${label}: ${meaning.text}: ${why}`, cause)
  if (error.code.startsWith('23')) return new StoreError('conflict', `the database refused: ${why}`, cause)
  if (error.code.startsWith('28')) {
    return new StoreError('unavailable', `${label} does not let this user in: ${why}`, cause)
  }
  return new StoreError('unavailable', `trouble with ${label}: ${why}`, cause)
}
