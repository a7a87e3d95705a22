import { StoreError } from '../errors.ts'
import { ILLEGAL_TRANSITION } from './sqlite-dialect.ts'

/** What `node:sqlite` throws. */
type SqliteError = Error & { readonly errcode: number; readonly errstr: string }

const CODES = {
  busy: 5,
  locked: 6,
  readOnly: 8,
  io: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  constraint: 19,
  notADb: 26,
}
/** Extended codes of failures that mean "no room": a write, or growing the shared memory file */
const NO_ROOM = new Set([778, 4874])

/** Turns SQLite's trouble into the family's; what is neither SQLite's nor ours passes through. */
export function toStoreError(error: unknown, path: string): unknown {
  if (error instanceof StoreError || !isSqliteError(error)) return error
  const primary = error.errcode & 0xff
  const cause = { cause: error }
  const why = `${error.message} (SQLite ${error.errcode})`
  if (primary === CODES.constraint) {
    const isMove = error.message.includes(ILLEGAL_TRANSITION)
    return new StoreError(
      isMove ? 'illegal_transition' : 'conflict',
      `the database refused: ${error.message}`,
      cause,
    )
  }
  if (primary === CODES.full || NO_ROOM.has(error.errcode)) {
    return new StoreError(
      'disk_full',
      `cannot write ${path}: no room on the disk; nothing was changed; ${why}`,
      cause,
    )
  }
  if (primary === CODES.readOnly) {
    return new StoreError(
      'read_only',
      `cannot write ${path}: the file or its folder is read-only; ${why}`,
      cause,
    )
  }
  if (primary === CODES.corrupt || primary === CODES.notADb) {
    return new StoreError('corrupt', `${path} is damaged: restore a backup; ${why}`, cause)
  }
  if (primary === CODES.busy || primary === CODES.locked) {
    return new StoreError('unavailable', `${path} is locked by another program; ${why}`, cause)
  }
  return new StoreError('unavailable', `trouble with ${path}: ${why}`, cause)
}

export function isSqliteError(error: unknown): error is SqliteError {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
}

/** Whether somebody else holds the lock that was asked for. */
export function isBusy(error: unknown): boolean {
  return isSqliteError(error) && (error.errcode & 0xff) === CODES.busy
}

/** Whether the file cannot be opened or written as it lies there. */
export function isRefusedByFileSystem(error: unknown): boolean {
  if (!isSqliteError(error)) return false
  return [CODES.cannotOpen, CODES.readOnly].includes(error.errcode & 0xff)
}
