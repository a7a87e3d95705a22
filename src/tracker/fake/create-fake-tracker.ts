import type { JsonObject } from '../../domain/json.ts'
import type { TicketStatus } from '../../domain/status.ts'
import { PRIORITY_DEFAULT } from '../../domain/ticket.ts'
import {
  CHECK_PROBLEM_COUNT,
  CHECK_SAMPLE_COUNT,
  FETCH_COUNT_MAX,
  type Tracker,
  TrackerError,
  type TrackerProblem,
  type TrackerTicket,
  type TrackerTickets,
} from '../contract.ts'
import { isMarked, judgeTake, judgeWriteBack, type TicketWords, toStatus } from '../ownership.ts'

/** A ticket as the fake tracker holds it; what is left out is empty. */
export type FakeTicket = Partial<Omit<TrackerTicket, 'status'>> & {
  readonly externalId: string
  readonly title: string
  /** Mark of who has it */
  readonly by?: string | null
  readonly result?: JsonObject | null
  readonly error?: string | null
  readonly branch?: string | null
  readonly pullRequest?: string | null
}

/** What trackers share that look at the same tickets, as those before and after a restart do. */
export type FakeBoard = {
  readonly words: TicketWords
  /** Adds a ticket, or changes the parts of it that are given. */
  put(ticket: FakeTicket): void
  remove(externalId: string): void
  find(externalId: string): FakeTicket | undefined
  list(): readonly FakeTicket[]
  /** Grows with every change */
  readonly revision: number
  /** `false`: every call fails with `tracker_unavailable` */
  isReachable: boolean
}

const WORDS: TicketWords = {
  pending: ['pending'],
  running: ['in_progress'],
  done: ['done'],
  failed: ['failed'],
  canceled: ['canceled'],
}

export function createFakeBoard({ words = WORDS }: { readonly words?: TicketWords } = {}): FakeBoard {
  const tickets = new Map<string, FakeTicket>()
  let revision = 1
  return {
    words,
    isReachable: true,
    put(ticket) {
      tickets.set(ticket.externalId, { ...tickets.get(ticket.externalId), ...ticket })
      revision += 1
    },
    remove(externalId) {
      tickets.delete(externalId)
      revision += 1
    },
    find: (externalId) => tickets.get(externalId),
    list: () => [...tickets.values()],
    get revision() {
      return revision
    },
  }
}

/**
 * A tracker in memory. Words in a ticket's title make trouble:
 * - `fake-page-fails`: a page with this ticket cannot be read
 * - `fake-take-lost`: somebody else takes it when we try to
 * - `fake-take-fails-<n>`, `fake-write-back-fails-<n>`: the first n times `tracker_unavailable`
 * - `fake-take-refused`, `fake-write-back-refused`: always `tracker_refused`
 */
export function createFakeTracker({ name = 'fake', board }: { name?: string; board: FakeBoard }): Tracker {
  const { words } = board
  /** How often each call has failed, by verb and ticket */
  const failures = new Map<string, number>()
  let isClosed = false

  function enter(signal: AbortSignal): void {
    signal.throwIfAborted()
    if (isClosed) throw new TrackerError('tracker_unavailable', `tracker ${name}: it is closed`)
    if (!board.isReachable) throw new TrackerError('tracker_unavailable', `tracker ${name} cannot be reached`)
  }

  function obey(verb: 'take' | 'write-back', { externalId, title }: FakeTicket): void {
    if (title.includes(`fake-${verb}-refused`)) {
      throw new TrackerError('tracker_refused', `${verb} is refused, as the title asks`, {
        fix: 'change the title',
      })
    }
    const wanted = Number(new RegExp(`fake-${verb}-fails-(\\d+)`).exec(title)?.[1] ?? 0)
    const key = `${verb} ${externalId}`
    const failed = failures.get(key) ?? 0
    if (failed >= wanted) return
    failures.set(key, failed + 1)
    throw new TrackerError('tracker_unavailable', `${verb} ${failed + 1} fails, as the title asks`)
  }

  function list(states: readonly TicketStatus[]): readonly FakeTicket[] {
    return board
      .list()
      .filter((ticket) => states.some((state) => words[state]?.includes(toWord(ticket, words))))
      .sort((a, b) => (a.externalId < b.externalId ? -1 : 1))
  }

  const toTickets = (found: readonly FakeTicket[]): TrackerTickets => {
    const broken = found.find(({ title }) => title.includes('fake-page-fails'))
    if (broken !== undefined) {
      throw new TrackerError('tracker_unavailable', `the page with ${broken.externalId} cannot be read`)
    }
    return {
      tickets: found.filter(isTitled).map((ticket) => toTrackerTicket(ticket, words)),
      problems: found.filter((ticket) => !isTitled(ticket)).map(toProblem),
    }
  }

  return {
    name,
    kind: 'fake',
    async check(signal) {
      enter(signal)
      const { tickets, problems } = toTickets(list(['pending']))
      return {
        isUsable: true,
        mapping: [],
        counts: countWords(board.list(), words),
        sample: tickets.slice(0, CHECK_SAMPLE_COUNT),
        mirroredCount: tickets.length,
        problems: problems.slice(0, CHECK_PROBLEM_COUNT),
      }
    },
    async fetchByStates({ states, cursor, unlessRevision }, signal) {
      enter(signal)
      const revision = String(board.revision)
      if (cursor === undefined && unlessRevision === revision) return { kind: 'unchanged' }
      const rest = list(states).filter(({ externalId }) => cursor === undefined || externalId > cursor)
      const page = rest.slice(0, FETCH_COUNT_MAX)
      const nextCursor = rest.length > page.length ? (page.at(-1)?.externalId ?? null) : null
      return { kind: 'page', ...toTickets(page), nextCursor, revision }
    },
    async fetchByIds(externalIds, signal) {
      enter(signal)
      if (externalIds.length > FETCH_COUNT_MAX)
        throw new Error(`${externalIds.length} tickets were asked for`)
      return toTickets([...new Set(externalIds)].flatMap((id) => board.find(id) ?? []))
    },
    async take(input, signal) {
      enter(signal)
      const before = board.find(input.externalId)
      if (before === undefined) return { kind: 'absent' }
      obey('take', before)
      const word = words.running?.[0] ?? ''
      if (before.title.includes('fake-take-lost')) board.put({ ...before, word, by: 'somebody else' })
      const ticket = board.find(input.externalId) ?? before
      const standing = { word: toWord(ticket, words), by: ticket.by ?? null }
      const judgement = judgeTake(standing, input, words)
      if (judgement === 'lost') return { kind: 'lost', ...standing }
      if (judgement === 'ours') return { kind: 'taken', word: standing.word }
      board.put({ ...ticket, word, by: input.mark })
      return { kind: 'taken', word }
    },
    async writeBack(input, signal) {
      enter(signal)
      const ticket = board.find(input.externalId)
      if (ticket === undefined) return { kind: 'absent' }
      obey('write-back', ticket)
      const standing = { word: toWord(ticket, words), by: ticket.by ?? null }
      const judgement = judgeWriteBack(standing, input, words)
      if (judgement === 'lost') return { kind: 'lost', ...standing }
      const known = words[input.status] ?? []
      const word = known.includes(standing.word) ? standing.word : (known[0] ?? null)
      const changed: FakeTicket = {
        ...ticket,
        word: word ?? standing.word,
        by: isMarked(input.status) ? standing.by : null,
        result: input.outputs ?? ticket.result ?? null,
        error: input.error,
        branch: input.branch ?? ticket.branch ?? null,
        pullRequest: input.pullRequest ?? ticket.pullRequest ?? null,
      }
      if (JSON.stringify(changed) === JSON.stringify(ticket)) return { kind: 'written', word }
      if (judgement === 'ended') return { kind: 'lost', ...standing }
      board.put(changed)
      return { kind: 'written', word }
    },
    async close() {
      isClosed = true
    },
  }
}

function toWord({ word }: FakeTicket, words: TicketWords): string {
  return word ?? words.pending?.[0] ?? ''
}

function isTitled({ title }: FakeTicket): boolean {
  return title.trim() !== ''
}

function toProblem({ externalId }: FakeTicket): TrackerProblem {
  return { externalId, severity: 'refused', problem: 'its title is empty', fix: 'give it a title' }
}

function toTrackerTicket(ticket: FakeTicket, words: TicketWords): TrackerTicket {
  const word = toWord(ticket, words)
  return {
    externalId: ticket.externalId,
    word,
    status: toStatus(word, words),
    title: ticket.title,
    body: ticket.body ?? '',
    type: ticket.type ?? '',
    labels: ticket.labels ?? [],
    priority: ticket.priority ?? PRIORITY_DEFAULT,
    workflow: ticket.workflow ?? null,
    agent: ticket.agent ?? null,
    inputs: ticket.inputs ?? {},
    createdAt: ticket.createdAt ?? null,
  }
}

function countWords(tickets: readonly FakeTicket[], words: TicketWords) {
  const counts = new Map<string, number>()
  for (const ticket of tickets)
    counts.set(toWord(ticket, words), (counts.get(toWord(ticket, words)) ?? 0) + 1)
  return [...counts].map(([word, count]) => ({ word, status: toStatus(word, words), count }))
}
