/**
 * One vocabulary of statuses and one table of the moves between them. The database holds the same table
 * (`status_transitions`) and refuses what is not in it; a test compares the two.
 */
export const TRANSITIONS = {
  ticket: {
    draft: ['pending', 'blocked', 'canceled'],
    pending: ['draft', 'blocked', 'running', 'failed', 'canceled'],
    blocked: ['pending', 'canceled'],
    running: ['pending', 'waiting', 'review', 'done', 'failed', 'canceled'],
    waiting: ['running', 'pending', 'review', 'done', 'failed', 'canceled'],
    review: ['pending', 'blocked', 'running', 'done', 'failed', 'canceled'],
    done: [],
    failed: ['pending', 'blocked', 'canceled'],
    canceled: ['pending', 'blocked'],
  },
  run: {
    queued: ['running', 'failed', 'canceled'],
    running: ['queued', 'waiting', 'succeeded', 'failed', 'canceled'],
    waiting: ['queued', 'running', 'failed', 'canceled'],
    succeeded: [],
    failed: [],
    canceled: [],
  },
  step: {
    pending: ['running', 'waiting', 'failed', 'skipped', 'canceled'],
    running: ['pending', 'waiting', 'succeeded', 'failed', 'canceled'],
    waiting: ['pending', 'running', 'succeeded', 'failed', 'canceled'],
    succeeded: [],
    failed: [],
    skipped: [],
    canceled: [],
  },
  attempt: {
    running: ['succeeded', 'failed', 'lost', 'canceled'],
    succeeded: [],
    failed: [],
    lost: [],
    canceled: [],
  },
  sandbox: {
    creating: ['ready', 'stopping', 'gone', 'lost'],
    ready: ['stopping', 'gone', 'lost'],
    stopping: ['gone', 'lost'],
    gone: [],
    lost: ['gone'],
  },
  pull_request: {
    open: ['merged', 'closed'],
    merged: [],
    closed: ['open'],
  },
  effect: {
    pending: ['sending', 'dead'],
    sending: ['pending', 'done', 'dead'],
    done: [],
    dead: ['pending'],
  },
} as const satisfies Record<string, Record<string, readonly string[]>>

export type Thing = keyof typeof TRANSITIONS
export type StatusOf<T extends Thing> = keyof (typeof TRANSITIONS)[T] & string

export type TicketStatus = StatusOf<'ticket'>
export type RunStatus = StatusOf<'run'>
export type StepStatus = StatusOf<'step'>
export type AttemptStatus = StatusOf<'attempt'>
export type SandboxStatus = StatusOf<'sandbox'>
export type PullRequestStatus = StatusOf<'pull_request'>
export type EffectStatus = StatusOf<'effect'>

/** Every status of a thing, in the order of its life. */
export function listStatuses<T extends Thing>(thing: T): readonly StatusOf<T>[] {
  return Object.keys(TRANSITIONS[thing]) as StatusOf<T>[]
}

/** Whether the move is in the table. A move to the same status is none. */
export function isTransition<T extends Thing>(thing: T, from: StatusOf<T>, to: StatusOf<T>): boolean {
  const moves: Readonly<Record<string, readonly string[]>> = TRANSITIONS[thing]
  return moves[from]?.includes(to) ?? false
}

/** Whether nothing follows by itself: a person may still requeue a failed or canceled ticket. */
export function isTerminal<T extends Thing>(thing: T, status: StatusOf<T>): boolean {
  if (thing === 'ticket') return ['done', 'failed', 'canceled'].includes(status)
  if (thing === 'sandbox') return status === 'gone' || status === 'lost'
  if (thing === 'pull_request') return status !== 'open'
  if (thing === 'effect') return status === 'done' || status === 'dead'
  const moves: Readonly<Record<string, readonly string[]>> = TRANSITIONS[thing]
  return moves[status]?.length === 0
}

/** Spellings that other trackers use, mapped at the door. */
const IMPORTED_TICKET_STATUSES: Readonly<Record<string, TicketStatus>> = {
  ready: 'pending',
  open: 'pending',
  new: 'pending',
  todo: 'pending',
  queued: 'pending',
  backlog: 'draft',
  in_progress: 'running',
  'in-progress': 'running',
  started: 'running',
  in_review: 'review',
  'in-review': 'review',
  completed: 'done',
  complete: 'done',
  closed: 'done',
  resolved: 'done',
  success: 'done',
  error: 'failed',
  cancelled: 'canceled',
  wont_fix: 'canceled',
}

/** Our status for a spelling from outside, or `undefined` when it means nothing here. */
export function toTicketStatus(spelling: string): TicketStatus | undefined {
  const word = spelling.trim().toLowerCase()
  if (Object.hasOwn(TRANSITIONS.ticket, word)) return word as TicketStatus
  return Object.hasOwn(IMPORTED_TICKET_STATUSES, word) ? IMPORTED_TICKET_STATUSES[word] : undefined
}
