import { request as httpRequest, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

/** As much of `fetch` as the client needs: text or bytes in, a streamed answer out. Redirects are not followed. */
export type UnixFetch = (url: string, init?: RequestInit) => Promise<Response>

/**
 * A `fetch` that speaks over a unix socket. Of the URL only path and query are sent; the host is a name.
 * Rejects with a `TypeError` whose cause says why, like the platform's, and with the signal's reason on abort.
 */
export function createUnixFetch(socketPath: string): UnixFetch {
  return async (url, init = {}) => {
    init.signal?.throwIfAborted()
    const { host, pathname, search } = new URL(url)
    const headers = Object.fromEntries(new Headers(init.headers))
    const request = httpRequest({
      socketPath,
      method: init.method ?? 'GET',
      path: `${pathname}${search}`,
      headers: { ...headers, host },
      agent: false,
      ...(init.signal === undefined || init.signal === null ? {} : { signal: init.signal }),
    })
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve)
      request.on('error', (error) => reject(toFetchError(error, socketPath, init.signal)))
    })
    request.end(toBytes(init.body))
    return toResponse(await answer)
  }
}

function toBytes(body: RequestInit['body']): string | Uint8Array | undefined {
  if (body === undefined || body === null) return undefined
  if (typeof body === 'string' || body instanceof Uint8Array) return body
  throw new TypeError('a request over a unix socket carries text or bytes')
}

function toFetchError(error: Error, socketPath: string, signal: AbortSignal | null | undefined): unknown {
  if (signal?.aborted === true) return signal.reason
  return new TypeError(`cannot reach ${socketPath}: ${error.message}`, { cause: error })
}

const BODILESS_STATUSES = [101, 204, 205, 304]

function toResponse(message: IncomingMessage): Response {
  const status = message.statusCode ?? 500
  const headers = new Headers()
  for (const [name, values] of Object.entries(message.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value)
  }
  if (BODILESS_STATUSES.includes(status)) {
    message.resume()
    return new Response(null, { status, headers })
  }
  // The two declarations of a web stream (Node's and the global one) describe the same object.
  const body = Readable.toWeb(message) as ReadableStream<Uint8Array>
  return new Response(body, { status, statusText: message.statusMessage ?? '', headers })
}
