import { TrackerError, type TrackerErrorCode } from '../contract.ts'
import { quote } from './cell.ts'

/** What `node:sqlite` throws. */
export type SqliteError = Error & { readonly errcode: number }

const CODES = {
  error: 1,
  permission: 3,
  busy: 5,
  locked: 6,
  readOnly: 8,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  tooBig: 18,
  constraint: 19,
  mismatch: 20,
  auth: 23,
  notADatabase: 26,
}
const UNFINISHED_WRITE = 776
const FOREIGN_KEY = 787
const DETAIL_CHARS_MAX = 300

/** Turns SQLite's trouble into the family's; what is not SQLite's passes through. */
export function toTrackerError(error: unknown, path: string): unknown {
  if (error instanceof TrackerError) return error
  if (isFileError(error)) {
    return new TrackerError('tracker_unavailable', `cannot open ${path}: ${toDetail(error)}`, {
      fix: 'let this user read and write the file and its folder',
      cause: error,
    })
  }
  if (!isSqliteError(error)) return error
  const { code, problem, fix } = explain(error, path)
  return new TrackerError(code, problem, { fix, cause: error })
}

function explain(
  error: SqliteError,
  path: string,
): { code: TrackerErrorCode; problem: string; fix: string | null } {
  const detail = toDetail(error)
  if (error.errcode === UNFINISHED_WRITE) {
    return unavailable(
      `${path}: another program was interrupted while it wrote, and its journal is not rolled back yet`,
      'start that program once, or wait for the next fetch',
    )
  }
  switch (error.errcode & 0xff) {
    case CODES.busy:
    case CODES.locked:
      return unavailable(
        `${path} is locked by another program`,
        'wait until that program is done, or end it: the daemon tries again by itself',
      )
    case CODES.constraint:
      return refused(
        `the table refused the write: ${detail}`,
        error.errcode === FOREIGN_KEY
          ? 'add what the foreign key refers to, or map another column or word'
          : null,
      )
    case CODES.readOnly:
    case CODES.permission:
    case CODES.auth:
      return unavailable(
        `${path} cannot be written: ${detail}`,
        'let this user write the file and its folder',
      )
    case CODES.mismatch:
      return refused(`the table refused the write: ${detail}`, null)
    case CODES.cannotOpen:
      return unavailable(
        `cannot open ${path}: ${detail}`,
        'let this user read and write the file and its folder',
      )
    case CODES.corrupt:
      return unavailable(`${path} is damaged: ${detail}`, 'restore a backup of it')
    case CODES.full:
      return unavailable(`${path}: no room on the disk`, 'make room')
    case CODES.notADatabase:
      return {
        code: 'tracker_misfit',
        problem: `${path} is not an SQLite database, or it is encrypted`,
        fix: 'give the path of an SQLite database',
      }
    case CODES.error:
    case CODES.tooBig:
      return { code: 'tracker_misfit', problem: `${path}: ${detail}`, fix: null }
    default:
      return unavailable(`trouble with ${path}: ${detail} (SQLite ${error.errcode})`, null)
  }
}

const unavailable = (problem: string, fix: string | null) => ({
  code: 'tracker_unavailable' as const,
  problem,
  fix,
})
const refused = (problem: string, fix: string | null) => ({ code: 'tracker_refused' as const, problem, fix })

/** What SQLite, or a trigger of somebody else, says: in one line that does no harm. */
export function toDetail({ message }: Error): string {
  const text = message.slice(0, DETAIL_CHARS_MAX)
  return /^[\x20-\x7e]*$/.test(text) ? text : quote(text)
}

export function isSqliteError(error: unknown): error is SqliteError {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
}

/** What the file system says. */
function isFileError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error && 'code' in error
}

/** Whether a constraint or a trigger says no. */
export function isConstraint(error: unknown): boolean {
  return isSqliteError(error) && (error.errcode & 0xff) === CODES.constraint
}

/** Whether a statement of ours could not be compiled, or failed for want of something in the schema. */
export function isUnwritable(error: unknown): error is SqliteError {
  return isSqliteError(error) && (error.errcode & 0xff) === CODES.error
}

/** Whether somebody else holds the lock that was asked for. */
export function isBusy(error: unknown): boolean {
  return (
    isSqliteError(error) && ((error.errcode & 0xff) === CODES.busy || (error.errcode & 0xff) === CODES.locked)
  )
}
