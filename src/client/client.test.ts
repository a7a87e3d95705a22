import { describe, expect, test } from 'vitest'
import { createClient } from './client.ts'
import { readLines, readMessages } from './server-sent-events.ts'

const clientOf = (answer: () => Promise<Response> | Response, timeoutMs?: number) =>
  createClient({
    baseUrl: 'http://swarm.test/',
    token: 'swm_secret',
    fetch: async () => await answer(),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })

describe('answers that are not ours', () => {
  test('a proxy’s page is an ApiError with its status and the beginning of its text', async () => {
    const client = clientOf(() => new Response('<h1>Bad Gateway</h1>', { status: 502 }))
    await expect(client.version()).rejects.toMatchObject({
      name: 'ApiError',
      status: 502,
      code: 'http_error',
      detail: 'the server answered 502: <h1>Bad Gateway</h1>',
    })
  })

  test('a success that is no JSON, or another shape, is a ConnectionError', async () => {
    for (const body of ['<html>', '{"name":"other"}', 'null']) {
      const client = clientOf(() => new Response(body))
      await expect(client.version()).rejects.toMatchObject({
        name: 'ConnectionError',
        code: 'answer_invalid',
      })
    }
  })

  test('fields of a newer server are no trouble', async () => {
    const client = clientOf(() => Response.json({ name: 'swarm', version: '9', api: 'v1', more: { x: 1 } }))
    expect(await client.version()).toEqual({ name: 'swarm', version: '9', api: 'v1' })
  })

  test('nobody there is a ConnectionError that says what to ask; it never holds the token', async () => {
    const client = clientOf(() => Promise.reject(new TypeError('fetch failed')))
    const error = await client.version().catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'ConnectionError', code: 'unreachable' })
    expect(JSON.stringify(error) + String(error)).not.toContain('swm_secret')
  })

  test('U18: a server that stays silent is given up', async () => {
    const client = createClient({
      baseUrl: 'http://swarm.test',
      timeoutMs: 30,
      fetch: (_url, init) =>
        new Promise((_resolve, reject) => {
          init.signal?.addEventListener('abort', () => reject(init.signal?.reason))
        }),
    })
    await expect(client.version()).rejects.toMatchObject({ name: 'ConnectionError', code: 'timed_out' })
  })
})

describe('streams', () => {
  const stream = async function* (...texts: string[]) {
    for (const text of texts) yield new TextEncoder().encode(text)
  }

  test('lines come whole however the bytes are cut, a torn last one does not', async () => {
    const bytes = new TextEncoder().encode('añb\r\nc\nd')
    const cut = async function* () {
      for (const byte of bytes) yield Uint8Array.of(byte)
    }
    expect(await collect(readLines(cut()))).toEqual(['añb', 'c'])
  })

  test('messages keep the last id, comments are none, an unfinished one is dropped', async () => {
    const text = 'id: 3\nevent: x\ndata: {"a":1}\n\n: alive\n\ndata: one\ndata:two\n\nid: 9\ndata: torn'
    expect(await collect(readMessages(stream(text.slice(0, 20), text.slice(20))))).toEqual([
      { id: '3', event: 'x', data: '{"a":1}' },
      { id: '3', event: 'message', data: 'one\ntwo' },
    ])
  })
})

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
