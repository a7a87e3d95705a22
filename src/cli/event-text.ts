import type { SwarmClient } from '../client/client.ts'
import { escapeLine } from './escape-text.ts'
import { formatClock } from './format.ts'
import type { Colors } from './output.ts'

export type SwarmEvent = Awaited<ReturnType<SwarmClient['events']['list']>>['items'][number]

const DETAIL_CHARS_MAX = 200
const EFFECT_ID = /^eff_[0-9a-z]{26}$/
/** Fields of an event's data that tell a person something, in this order. */
const SHOWN_FIELDS = [
  'key',
  'title',
  'step',
  'stepKey',
  'kind',
  'status',
  'workflow',
  'reason',
  'detail',
  'message',
  'text',
  'via',
  'host',
  'denied',
  'url',
  'branch',
  'subject',
  'driver',
  'tracker',
  'externalId',
  'word',
  'phase',
  'name',
]

/** One line about an event; untrusted text is made harmless. */
export function formatEvent(event: SwarmEvent, colors: Colors): string {
  const subject = event.runId ?? event.ticketId
  const attempt = event.attempt === null ? '' : `attempt ${event.attempt}`
  const facts = SHOWN_FIELDS.flatMap((name) => toFact(event.data[name]))
  const detail = cut(escapeLine([...new Set(facts)].join(' · ')))
  const words = [
    colors.dim(formatClock(event.at)),
    paintType(event.type, colors),
    attempt,
    subject === null ? '' : colors.dim(subject),
    detail,
  ]
  return words.filter((word) => word !== '').join(' ')
}

/** Whether the event tells someone who waits for a ticket something new. */
export function isMilestone({ type }: SwarmEvent): boolean {
  return /^(ticket|run|step|wait|pull_request|agent)\.|^attempt\.(failed|lost)$|^effect\.dead$/.test(type)
}

/** As `formatEvent` for one ticket: who it is about is known. */
export function formatMilestone(event: SwarmEvent, colors: Colors): string {
  return formatEvent({ ...event, runId: null, ticketId: null }, colors)
}

function paintType(type: string, colors: Colors): string {
  if (/\.(failed|lost|dead|conflicted|lease_expired|refused)$/.test(type)) return colors.red(type)
  if (/\.(done|succeeded|merged)$/.test(type)) return colors.green(type)
  if (/\.(waiting|opened|blocked|in_review|parked)$/.test(type)) return colors.yellow(type)
  return escapeLine(type)
}

function cut(text: string): string {
  return text.length > DETAIL_CHARS_MAX ? `${text.slice(0, DETAIL_CHARS_MAX)}…` : text
}

function toFact(value: unknown): string[] {
  // What waits for an effect names it by its identifier, which tells a person nothing.
  if (typeof value === 'string' && EFFECT_ID.test(value)) return []
  if (typeof value === 'number') return [String(value)]
  return typeof value === 'string' && value !== '' ? [value] : []
}
