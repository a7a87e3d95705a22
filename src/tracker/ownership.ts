/** Whose a ticket is, from what stands in its tracker: the one rule that every implementation applies. */
import type { TicketStatus } from '../domain/status.ts'
import type { TakeInput, WriteBackInput } from './contract.ts'

/** The tracker's words for each status; the first is written, all are read. Absent or empty: never written. */
export type TicketWords = Readonly<Partial<Record<TicketStatus, readonly string[]>>>

/** What stands in the tracker. */
export type Standing = {
  readonly word: string
  /** Mark of who has it, `null` when nobody; `undefined` when the tracker has no place for it */
  readonly by: string | null | undefined
}

/** Statuses of a ticket that is ours and goes on. */
const OPEN_STATUSES = ['running', 'waiting', 'review', 'blocked'] as const

/**
 * `ours`: taken before, nothing is left to do. `free`: open for anybody, or ours under another word.
 * NOTE: without a place for marks, a ticket that runs and was never recorded as ours is somebody else's.
 */
export function judgeTake(
  { word, by }: Standing,
  { mark, lastWord }: TakeInput,
  words: TicketWords,
): 'ours' | 'free' | 'lost' {
  const isMarked = by === mark
  const isRecorded = word === lastWord && (by === undefined || by === null || isMarked)
  if (isWordOf('running', word, words) && (isMarked || (by === undefined && isRecorded))) return 'ours'
  if (isWordOf('pending', word, words) || isRecorded) return 'free'
  return isMarked && isOpenWord(word, words) ? 'free' : 'lost'
}

/**
 * `ours`: the mark is ours, or there is none and the word is the one that we wrote last, or is to be written.
 * A word for an end that we did not write is somebody's decision, whatever mark is left beside it.
 */
export function judgeWriteBack(
  { word, by }: Standing,
  { mark, lastWord, status }: WriteBackInput,
  words: TicketWords,
): 'ours' | 'lost' {
  if (by !== undefined && by !== null && by !== mark) return 'lost'
  if (word === lastWord || isWordOf(status, word, words)) return 'ours'
  // Written by us, and the process ended before it was recorded.
  return by === mark && isOpenWord(word, words) ? 'ours' : 'lost'
}

/** What a word means to us; where it serves several statuses, the first in the order of a ticket's life. */
export function toStatus(word: string, words: TicketWords): TicketStatus | null {
  const statuses: readonly TicketStatus[] = [
    'pending',
    'running',
    'waiting',
    'review',
    'done',
    'failed',
    'canceled',
    'blocked',
    'draft',
  ]
  return statuses.find((status) => isWordOf(status, word, words)) ?? null
}

export function isWordOf(status: TicketStatus, word: string, words: TicketWords): boolean {
  return words[status]?.includes(word) ?? false
}

function isOpenWord(word: string, words: TicketWords): boolean {
  return OPEN_STATUSES.some((status) => isWordOf(status, word, words))
}
