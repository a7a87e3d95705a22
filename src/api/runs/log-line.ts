import type { LogLine } from '../../rest-schema/run.ts'
import type { LogChunk } from '../../store/attempt-log.ts'
import { toInstant } from '../instant.ts'

/** Bytes of one line at most: a reader never has to hold more */
const LINE_BYTES_MAX = 64 * 1024

/** A stretch of output as lines of NDJSON: text where it is UTF-8, else base64. Nothing is lost or changed. */
export function* toLogLines(chunk: LogChunk): Iterable<LogLine> {
  for (let start = 0; start < chunk.data.byteLength; start += LINE_BYTES_MAX) {
    const data = chunk.data.subarray(start, start + LINE_BYTES_MAX)
    yield {
      offset: chunk.offset + start,
      at: toInstant(chunk.at),
      stream: chunk.stream,
      ...encode(data),
      byteCount: data.byteLength,
    }
  }
}

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function encode(data: Uint8Array): Pick<LogLine, 'encoding' | 'data'> {
  try {
    return { encoding: 'utf8', data: STRICT_UTF8.decode(data) }
  } catch {
    // Not UTF-8, or a character cut in two: the bytes themselves.
    return { encoding: 'base64', data: Buffer.from(data).toString('base64') }
  }
}
