import type { EventType, SwarmEvent } from '../../domain/event.ts'
import type { RunId, TicketId } from '../../domain/id.ts'
import { listEventsSpec } from '../../rest-schema/operations/events.ts'
import type { Store } from '../../store/contract.ts'
import { toByteStream } from '../byte-stream.ts'
import { getTicket } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { ApiProblem } from '../problem.ts'
import { withoutUndefined } from '../without-undefined.ts'
import { assertKept } from './assert-kept.ts'
import { toEventBody } from './event-body.ts'
import { streamEvents } from './stream-events.ts'

export type ListEventsDeps = {
  readonly store: Pick<Store, 'read' | 'subscribe'>
  /** Aborts when the API closes */
  readonly ended: AbortSignal
}

export type EventFilter = {
  readonly ticketId?: TicketId
  readonly runId?: RunId
  readonly types?: readonly EventType[]
}

export function listEvents({ store, ended }: ListEventsDeps) {
  return operation(listEventsSpec, async ({ query, headers }) => {
    const ticket = query.ticket === undefined ? undefined : await getTicket(store.read, query.ticket)
    const filter = withoutUndefined({ ticketId: ticket?.id, runId: query.run, types: query.type })
    const isStream = (headers.get('accept') ?? '').includes('text/event-stream')
    const after = (isStream ? readLastEventId(headers) : undefined) ?? query.after
    await assertKept(store.read, after ?? 0, filter)
    if (!isStream) {
      const events = await store.read.listEvents({
        ...filter,
        afterSeq: after ?? 0,
        countMax: query.limit,
      })
      return { status: 200, body: toPage(events, after ?? 0) }
    }
    const afterSeq = await toStart(store, after)
    const body = toByteStream((signal) => streamEvents({ store, filter, afterSeq, signal }), ended)
    return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } })
  })
}

function toPage(events: readonly SwarmEvent[], after: number) {
  return { items: events.map(toEventBody), lastSeq: events.at(-1)?.seq ?? after }
}

function readLastEventId(headers: Headers): number | undefined {
  const text = headers.get('last-event-id')
  if (text === null || text === '') return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new ApiProblem(400, 'invalid_request', 'Last-Event-ID is no place in the sequence of events')
}

/** Without a place: from now on. A place that does not exist yet belongs to another store: waiting there would skip. */
async function toStart(store: Pick<Store, 'read'>, after: number | undefined): Promise<number> {
  const { lastEventSeq } = await store.read.getFigures()
  if (after === undefined) return lastEventSeq
  if (after <= lastEventSeq) return after
  throw new ApiProblem(410, 'event_position_unknown', `the newest event is ${lastEventSeq}, not ${after}`, {
    hint: 'the store was replaced: load everything again, then follow without Last-Event-ID',
  })
}
