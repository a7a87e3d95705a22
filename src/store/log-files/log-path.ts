import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { RunId } from '../../domain/id.ts'
import type { AttemptRef } from '../attempt-log.ts'

/** Names of files are shorter than 255 bytes everywhere; this leaves room for an ending. */
const NAME_CHARS_MAX = 120

/** Folder of one attempt's log: `<directory>/<run>/<step key>/<attempt>`. */
export function toLogFolder(directory: string, { runId, stepKey, attempt }: AttemptRef): string {
  return join(toRunFolder(directory, runId), toFileName(stepKey), toFileName(String(attempt)))
}

export function toRunFolder(directory: string, runId: RunId): string {
  return join(directory, toFileName(runId))
}

/**
 * A name that stays inside its folder whatever the text is: everything but letters, digits, `_` and `-` becomes
 * `%` and its bytes in hex; a long text is cut and gets its digest. The text itself stands in the log's head.
 */
export function toFileName(text: string): string {
  const escaped = text.replace(/[^A-Za-z0-9_-]/gu, (char) =>
    [...Buffer.from(char)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  )
  if (escaped === '') return '%'
  if (escaped.length <= NAME_CHARS_MAX) return escaped
  const digest = createHash('sha256').update(text).digest('hex')
  return `${escaped.slice(0, NAME_CHARS_MAX - 66)}%%${digest}`
}
