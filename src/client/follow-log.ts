import { listLogsSpec, readLogSpec } from '../rest-schema/operations/runs.ts'
import { type LogLine, logLineSchema } from '../rest-schema/run.ts'
import { ConnectionError } from './api-error.ts'
import { call, open, type Transport } from './call.ts'
import { readChunks, readResiliently } from './resilient-stream.ts'
import { readLines } from './server-sent-events.ts'

export type LogRef = { readonly runId: string; readonly stepKey: string; readonly attempt: number }

export type FollowLogOptions = {
  /** First byte wanted; absent: from the start */
  readonly offset?: number | undefined
  /** That many bytes before the end, instead of `offset` */
  readonly tail?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * The output of one attempt while it grows, each byte once, also over broken connections. Ends when the log is
 * closed or the signal aborts.
 */
export function followLog(
  transport: Transport,
  ref: LogRef,
  options: FollowLogOptions,
): AsyncIterable<LogLine> {
  let nextOffset = options.offset
  async function* read(signal: AbortSignal): AsyncIterable<LogLine> {
    const query = nextOffset === undefined ? { tail: options.tail } : { offset: nextOffset }
    const response = await open(transport, readLogSpec, {
      params: ref,
      query: { ...query, follow: true, format: 'ndjson' },
      accept: 'application/x-ndjson',
      signal,
    })
    // A quiet build says nothing for long; empty lines are the server's sign of life.
    for await (const line of readLines(readChunks(response.body, IDLE_MS))) {
      if (line === '') continue
      const piece = toLogLine(line)
      nextOffset = piece.offset + piece.byteCount
      yield piece
    }
  }
  async function hasMore(signal: AbortSignal): Promise<boolean> {
    const logs = await call(transport, listLogsSpec, { params: { runId: ref.runId }, signal })
    const log = logs.items.find((entry) => entry.stepKey === ref.stepKey && entry.attempt === ref.attempt)
    return log !== undefined && !(log.isClosed && (nextOffset ?? 0) >= log.byteCount)
  }
  const source = { open: async (signal: AbortSignal) => read(signal), hasMore }
  return readResiliently(source, options.signal ?? new AbortController().signal)
}

/** The server sends an empty line every 15 s */
const IDLE_MS = 45_000

function toLogLine(text: string): LogLine {
  const parsed = logLineSchema.safeParse(JSON.parse(text))
  if (parsed.success) return parsed.data
  throw new ConnectionError('answer_invalid', 'a line of the log is not what this version understands', {
    cause: parsed.error,
  })
}

/** The bytes of a line, as the attempt wrote them. */
export function toLogBytes(line: LogLine): Uint8Array {
  if (line.encoding === 'utf8') return new TextEncoder().encode(line.data)
  return Uint8Array.from(atob(line.data), (character) => character.charCodeAt(0))
}
