import { type Readable, Transform, type TransformCallback } from 'node:stream'
import type { DenialReason } from './contract.ts'
import type { Exchange } from './exchange.ts'

/** Passes bytes on, counts them, and ends the exchange when they are too many or stop coming. */
export function countFlow(
  exchange: Exchange,
  options: {
    readonly count: 'requestBytes' | 'responseBytes'
    readonly bytesMax: number
    readonly tooMany: DenialReason
    readonly onBytes?: () => void
  },
): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      exchange[options.count] += chunk.length
      options.onBytes?.()
      if (exchange[options.count] <= options.bytesMax) return callback(null, chunk)
      exchange.end(options.tooMany)
      callback(new Error(options.tooMany))
    },
  })
}

/**
 * Makes a failing answer the other side's fault. To be called before the answer is piped: the pipe takes the
 * client's side down as well, which would look as if the client had hung up.
 */
export function blameUpstream(exchange: Exchange, answer: Readable): void {
  answer.once('error', () => exchange.end('upstream_failed'))
}

/** Ends the exchange when `touch` is not called for `idleTimeoutMs`. */
export function watchIdle(exchange: Exchange, idleTimeoutMs: number): { touch(): void; stop(): void } {
  const timer = setTimeout(() => exchange.end('timed_out'), idleTimeoutMs)
  return { touch: () => timer.refresh(), stop: () => clearTimeout(timer) }
}

/**
 * Replaces every occurrence of the secrets, also across chunks. Holds bytes back only while they are the
 * beginning of a secret, so that a stream is not delayed.
 */
export function redactFlow(secrets: readonly string[]): Transform {
  const needles = secrets.filter((secret) => secret !== '').map((secret) => Buffer.from(secret, 'utf8'))
  let held: Buffer = Buffer.alloc(0)
  const pass = (stream: Transform, text: Buffer, callback: TransformCallback, isLast: boolean) => {
    const clean = needles.reduce(replaceAll, text)
    const keep = isLast ? 0 : Math.max(0, ...needles.map((needle) => beginningAtEnd(clean, needle)))
    held = clean.subarray(clean.length - keep)
    if (clean.length > keep) stream.push(clean.subarray(0, clean.length - keep))
    callback()
  }
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      pass(this, held.length === 0 ? chunk : Buffer.concat([held, chunk]), callback, false)
    },
    flush(callback) {
      pass(this, held, callback, true)
    },
  })
}

const REDACTED = Buffer.from('[redacted]')

function replaceAll(text: Buffer, needle: Buffer): Buffer {
  const parts: Buffer[] = []
  let from = 0
  for (let at = text.indexOf(needle); at !== -1; at = text.indexOf(needle, from)) {
    parts.push(text.subarray(from, at), REDACTED)
    from = at + needle.length
  }
  return parts.length === 0 ? text : Buffer.concat([...parts, text.subarray(from)])
}

/** How many bytes at the end of the text are the beginning of the needle. */
function beginningAtEnd(text: Buffer, needle: Buffer): number {
  for (let length = Math.min(needle.length - 1, text.length); length > 0; length--) {
    if (text.subarray(text.length - length).equals(needle.subarray(0, length))) return length
  }
  return 0
}
