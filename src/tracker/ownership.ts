/** Whose a ticket is, from what stands in its tracker: the one rule that every implementation applies. */
import { isTerminal, type TicketStatus } from '../domain/status.ts'
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
  const isOurMark = by === mark
  const isRecorded = word === lastWord && (by === undefined || by === null || isOurMark)
  if (isWordOf('running', word, words) && (isOurMark || (by === undefined && isRecorded))) return 'ours'
  if (isWordOf('pending', word, words) || isRecorded) return 'free'
  return isOurMark && isOpenWord(word, words) ? 'free' : 'lost'
}

/**
 * `ours`: the mark is ours, or there is none and the word is the one that we wrote last, or is to be written.
 * `ended`: it has ended as it is to end, which we did not record: ours when the rest stands there as well, as after a
 * crash, and else somebody's decision, as an end of another kind is, whatever mark is left beside it.
 */
export function judgeWriteBack(
  { word, by }: Standing,
  { mark, lastWord, status }: WriteBackInput,
  words: TicketWords,
): 'ours' | 'ended' | 'lost' {
  if (by !== undefined && by !== null && by !== mark) return 'lost'
  if (word === lastWord) return 'ours'
  if (isWordOf(status, word, words)) return isTerminal('ticket', status) ? 'ended' : 'ours'
  // Written by us, and the process ended before it was recorded.
  return by === mark && isOpenWord(word, words) ? 'ours' : 'lost'
}

/**
 * Whether a ticket in this status is somebody's. One that may be put back bears no mark: whoever took it then without
 * writing one would be taken for us.
 */
export function isMarked(status: TicketStatus): boolean {
  return status !== 'pending' && status !== 'failed' && status !== 'canceled'
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
