import { readLogSpec } from '../../rest-schema/operations/runs.ts'
import type { AttemptLogs, AttemptRef, LogChunk, LogPosition } from '../../store/attempt-log.ts'
import type { Store } from '../../store/contract.ts'
import { NotFoundError } from '../../store/errors.ts'
import { toByteStream, withSilences } from '../byte-stream.ts'
import { getRun } from '../find-by-ref.ts'
import { operation } from '../operation.ts'
import { ApiProblem } from '../problem.ts'
import { toLogLines } from './log-line.ts'

export type ReadLogDeps = {
  readonly store: Pick<Store, 'read'>
  readonly logs: Pick<AttemptLogs, 'find' | 'read'>
  /** Aborts when the API closes */
  readonly ended: AbortSignal
}

/** Between two signs of life of a followed log, `ms` */
const SILENCE_MS = 15_000

export function readLog({ store, logs, ended }: ReadLogDeps) {
  return operation(readLogSpec, async ({ params, query, headers }) => {
    const ref: AttemptRef = params
    await getRun(store.read, ref.runId)
    const position = await logs.find(ref)
    if (position === undefined) {
      throw new NotFoundError('log of', `${ref.stepKey} attempt ${ref.attempt} of run ${ref.runId}`)
    }
    const window = toWindow(query, position)
    const isFollowed = query.follow === true
    const options = { ...window, ...(isFollowed ? { follow: true } : {}) }
    if (isNdjson(query.format, headers)) {
      const body = toByteStream(
        (signal) => toNdjson(logs.read(ref, { ...options, signal }), isFollowed),
        ended,
      )
      return new Response(body, { headers: { 'content-type': 'application/x-ndjson' } })
    }
    const range = isFollowed ? undefined : readRange(headers.get('range'), position)
    const body = toByteStream((signal) => toText(logs.read(ref, { ...options, ...range, signal })), ended)
    return new Response(body, {
      status: range === undefined ? 200 : 206,
      headers: {
        'content-type': 'text/plain; charset=utf-8',
        'x-log-end': String(position.endOffset),
        ...(range === undefined ? {} : { 'content-range': toContentRange(range, position) }),
      },
    })
  })
}

type Window = { readonly fromOffset?: number; readonly byteCountMax?: number }
type Query = {
  readonly offset?: number | undefined
  readonly tail?: number | undefined
  readonly bytes?: number | undefined
}

/** `tail` is counted from the end as it is now, so that following begins there and not at a moving place. */
function toWindow({ offset, tail, bytes }: Query, { endOffset }: LogPosition): Window {
  if (offset !== undefined && tail !== undefined) {
    throw new ApiProblem(400, 'invalid_request', 'offset and tail exclude each other')
  }
  const fromOffset = tail === undefined ? (offset ?? 0) : Math.max(0, endOffset - tail)
  return { fromOffset, ...(bytes === undefined ? {} : { byteCountMax: bytes }) }
}

function isNdjson(format: string | undefined, headers: Headers): boolean {
  return format === 'ndjson' || (format === undefined && (headers.get('accept') ?? '').includes('ndjson'))
}

type ByteRange = { readonly fromOffset: number; readonly byteCountMax: number }

/** One range of bytes (RFC 9110); whatever else is asked for is answered in whole. */
function readRange(header: string | null, { endOffset }: LogPosition): ByteRange | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '')
  if (match === null || (match[1] === '' && match[2] === '')) return undefined
  const isSuffix = match[1] === ''
  const first = isSuffix ? Math.max(0, endOffset - Number(match[2])) : Number(match[1])
  const last = isSuffix || match[2] === '' ? endOffset - 1 : Math.min(Number(match[2]), endOffset - 1)
  if (first > last) {
    throw new ApiProblem(416, 'range_not_satisfiable', `the log has ${endOffset} bytes`, {
      headers: { 'content-range': `bytes */${endOffset}` },
    })
  }
  return { fromOffset: first, byteCountMax: last - first + 1 }
}

function toContentRange(range: ByteRange, { endOffset }: LogPosition): string {
  return `bytes ${range.fromOffset}-${range.fromOffset + range.byteCountMax - 1}/${endOffset}`
}

async function* toText(chunks: AsyncIterable<LogChunk>): AsyncIterable<Uint8Array> {
  for await (const chunk of chunks) yield chunk.data
}

async function* toNdjson(chunks: AsyncIterable<LogChunk>, isFollowed: boolean): AsyncIterable<Uint8Array> {
  const encoder = new TextEncoder()
  const silenceMs = isFollowed ? SILENCE_MS : MAX_TIMER_MS
  for await (const chunk of withSilences(chunks, silenceMs)) {
    if (chunk === undefined) yield encoder.encode('\n')
    else for (const line of toLogLines(chunk)) yield encoder.encode(`${JSON.stringify(line)}\n`)
  }
}

/** Longest delay that a timer of the platform takes */
const MAX_TIMER_MS = 2 ** 31 - 1
