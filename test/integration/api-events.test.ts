import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { WatchOptions } from '../../src/client/client.ts'
import type { EventBody } from '../../src/rest-schema/event.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { expectProblem } from '../support/expect-problem.ts'

let server: ApiServer
beforeEach(async () => {
  server = await startApiServer()
  await server.owner.projects.create({ key: 'WEB', name: 'Web' })
})
afterEach(async () => await server[Symbol.asyncDispose]())

const file = async (title: string) => await server.owner.tickets.create({ project: 'WEB', title })

describe('events as a page', () => {
  test('pages follow each other by place, with filters', async () => {
    await file('one')
    await file('two')
    const first = await server.owner.events.list({ limit: 2 })
    expect(first.items).toHaveLength(2)
    const second = await server.owner.events.list({ after: first.lastSeq })
    const seqs = [...first.items, ...second.items].map(({ seq }) => seq)
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
    const created = await server.owner.events.list({ type: ['ticket.created'], ticket: 'WEB-2' })
    expect(created.items).toMatchObject([{ type: 'ticket.created', actor: 'owner' }])
    const end = await server.owner.events.list({ after: second.lastSeq })
    expect(end).toEqual({ items: [], lastSeq: second.lastSeq })
    await expectProblem(server.owner.events.list({ type: ['no.such'] }), 400, 'invalid_request')
    await expectProblem(server.owner.events.list({ ticket: 'WEB-9' }), 404, 'not_found')
  })
})

describe('events as a stream', () => {
  test('a stream begins now and shows what happens', async () => {
    await file('before')
    await using watch = startWatch({ type: ['ticket.created'] })
    await watch.opened
    await file('after')
    const [event] = await watch.take(1)
    expect(event?.ticketId).toBe((await server.owner.tickets.get('WEB-2')).id)
  })

  test('replay and live have no gap and no double, under concurrent writes', async () => {
    await file('first')
    const writing = Array.from({ length: 5 }, async (_, writer) => {
      for (let i = 0; i < 12; i++) await file(`w${writer}-${i}`)
    })
    const watches = [0, 3, 7].map((after) => startWatch({ after }))
    await Promise.all(writing)
    const { lastSeq, items } = await everyEvent()
    for (const watch of watches) {
      await using current = watch
      const after = items.filter(({ seq }) => seq > watch.after)
      const seen = await current.take(after.length)
      expect(seen).toEqual(after)
      expect(seen.at(-1)?.seq).toBe(lastSeq)
    }
  })

  test('after a broken connection the stream goes on where it stopped', async () => {
    await using watch = startWatch({ type: ['ticket.created'] })
    await watch.opened
    await file('one')
    await watch.take(1)
    for (let i = 0; i < 3; i++) {
      server.breakConnections()
      await file(`missed ${i}`)
      await watch.take(i + 2)
    }
    expect(new Set(watch.events.map(({ seq }) => seq)).size).toBe(4)
  })

  test('a break before the first event loses nothing either', async () => {
    await using watch = startWatch({ type: ['ticket.created'] })
    await watch.opened
    server.breakConnections()
    await file('while away')
    expect((await watch.take(1))[0]?.type).toBe('ticket.created')
  })

  test('filters by ticket, run and type hold in replay and live', async () => {
    const one = await file('one')
    await file('two')
    await using watch = startWatch({ after: 0, ticket: 'WEB-1' })
    await server.owner.tickets.comment('WEB-2', { body: 'not this' })
    await server.owner.tickets.comment('WEB-1', { body: 'this' })
    const events = await watch.take(2)
    expect(events.map(({ type }) => type)).toEqual(['ticket.created', 'ticket.commented'])
    for (const { ticketId } of events) expect(ticketId).toBe(one.id)
  })

  test('a place that does not exist yet is refused: waiting there would skip', async () => {
    const response = await server.unixFetch('http://localhost/v1/events', {
      headers: { accept: 'text/event-stream', 'last-event-id': '999999' },
    })
    expect(response.status).toBe(410)
    const invalid = await server.unixFetch('http://localhost/v1/events', {
      headers: { accept: 'text/event-stream', 'last-event-id': 'abc' },
    })
    expect(invalid.status).toBe(400)
    await expect(async () => {
      for await (const _event of server.owner.events.watch({ after: 999_999 })) break
    }).rejects.toMatchObject({ status: 410, code: 'event_position_unknown' })
  })

  test('the raw stream is what an EventSource reads', async () => {
    await file('line\nbreak\r\ndata: forged\n\nid: 7')
    const response = await server.unixFetch('http://localhost/v1/events?after=0&type=ticket.created', {
      headers: { accept: 'text/event-stream' },
    })
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    while (text.split('\n\n').length < 3) text += (await reader?.read())?.value ?? ''
    await reader?.cancel()
    const [opened, event] = text.split('\n\n')
    expect(opened).toBe('id: 0\nevent: opened\ndata: {}')
    expect(event).toMatch(/^id: \d+\nevent: ticket\.created\ndata: \{.*\}$/)
  })

  test('who hangs up leaves no listener behind, over either door', async () => {
    const { secret } = await server.owner.tokens.create({ name: 'r', scopes: ['read'] })
    let listenerCount = 0
    const { subscribe } = server.store
    Object.assign(server.store, {
      subscribe(listener: Parameters<typeof subscribe>[0]) {
        const unsubscribe = subscribe(listener)
        listenerCount += 1
        return () => {
          listenerCount -= 1
          unsubscribe()
        }
      },
    })
    for (const client of [server.owner, server.connect(secret)]) {
      const stop = new AbortController()
      const { promise: opened, resolve: onOpen } = Promise.withResolvers<void>()
      const watching = (async () => {
        for await (const _event of client.events.watch({ signal: stop.signal, onOpen }));
      })()
      await opened
      await expect.poll(() => listenerCount).toBe(1)
      stop.abort()
      await watching
      await expect.poll(() => listenerCount).toBe(0)
    }
  })

  test('closing the API ends streams at once', async () => {
    await using watch = startWatch({})
    await watch.opened
    server.api.endStreams()
    await expect(
      server
        .unixFetch('http://localhost/v1/events', { headers: { accept: 'text/event-stream' } })
        .then((response) => response.text()),
    ).resolves.toBeDefined()
  })
})

async function everyEvent() {
  const items: EventBody[] = []
  for (;;) {
    const page = await server.owner.events.list({ after: items.at(-1)?.seq ?? 0, limit: 1000 })
    if (page.items.length === 0) return { items, lastSeq: page.lastSeq }
    items.push(...page.items)
  }
}

/** Collects in the background; disposing ends the stream. */
function startWatch(options: WatchOptions) {
  const stop = new AbortController()
  const { promise: opened, resolve: onOpen } = Promise.withResolvers<void>()
  const events: EventBody[] = []
  const collecting = (async () => {
    for await (const event of server.owner.events.watch({ ...options, signal: stop.signal, onOpen })) {
      events.push(event)
    }
  })()
  return {
    after: options.after ?? 0,
    opened,
    events,
    /** Waits for that many in all; more would be a double. */
    async take(count: number) {
      await expect.poll(() => events.length, { timeout: 15_000 }).toBe(count)
      return events
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await collecting
    },
  }
}
