import type { SwarmEvent } from '../../domain/event.ts'
import type { Store } from '../../store/contract.ts'
import { createWake } from '../wake.ts'
import { toEventBody } from './event-body.ts'
import type { EventFilter } from './list-events.ts'

/** Longest silence; then a comment says that the stream lives, `ms` */
const SILENCE_MS = 15_000
/** Commits of another process wake nobody here, `ms` */
const LOOK_AGAIN_MS = 2_000
const PAGE_COUNT = 200
/** One who takes nothing for this long comes again: only then is he told whether events are gone meanwhile, `ms` */
const STALL_MAX_MS = 30_000

/**
 * Server-sent events from a place in the sequence on. Every event is read from the store, in order; a commit in
 * this process only says when to look. So nothing can fall between replay and live, and a slow reader costs one
 * page of memory.
 */
export async function* streamEvents(input: {
  readonly store: Pick<Store, 'read' | 'subscribe'>
  readonly filter: EventFilter
  readonly afterSeq: number
  readonly signal: AbortSignal
}): AsyncIterable<Uint8Array> {
  const { store, filter, signal } = input
  const encoder = new TextEncoder()
  const wake = createWake()
  const unsubscribe = store.subscribe((events) => {
    if (events.some((event) => fits(event, filter))) wake.set()
  })
  let afterSeq = input.afterSeq
  let silentMs = 0
  let lookedAt = performance.now()
  try {
    yield encoder.encode(`id: ${afterSeq}\nevent: opened\ndata: {}\n\n`)
    while (!signal.aborted) {
      if (performance.now() - lookedAt > STALL_MAX_MS) return
      lookedAt = performance.now()
      wake.reset()
      const events = await store.read.listEvents({ ...filter, afterSeq, countMax: PAGE_COUNT })
      afterSeq = events.at(-1)?.seq ?? afterSeq
      if (events.length > 0) {
        silentMs = 0
        yield encoder.encode(events.map(toMessage).join(''))
      }
      if (events.length === PAGE_COUNT) continue
      if (await wake.wait(LOOK_AGAIN_MS, signal)) continue
      silentMs += LOOK_AGAIN_MS
      if (silentMs < SILENCE_MS) continue
      silentMs = 0
      yield encoder.encode(': alive\n\n')
    }
  } finally {
    unsubscribe()
  }
}

/** JSON has no line breaks of its own, so no text can begin a field of the stream. */
function toMessage(event: SwarmEvent): string {
  return `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(toEventBody(event))}\n\n`
}

function fits(event: SwarmEvent, filter: EventFilter): boolean {
  if (filter.ticketId !== undefined && event.ticketId !== filter.ticketId) return false
  if (filter.runId !== undefined && event.runId !== filter.runId) return false
  return filter.types === undefined || filter.types.includes(event.type)
}
