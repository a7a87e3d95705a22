import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import type { Writable } from 'node:stream'

export type UpstreamRequest = {
  /** With a scheme, host and port; its host is named in TLS and in the `Host` header */
  readonly url: URL
  readonly method: string
  readonly headers: OutgoingHttpHeaders
  /** Checked addresses to dial; the host name is not resolved again. Absent: the system resolves it. */
  readonly addresses?: readonly string[]
  readonly connectTimeoutMs: number
  /** Ends the whole exchange, the response's body included */
  readonly signal: AbortSignal
}

export type Upstream = {
  /** Where the request's body goes; must be ended */
  readonly body: Writable
  /** Rejects when there is no answer: refused, timed out, reset, aborted */
  readonly response: Promise<IncomingMessage>
}

/** No connection was made: refused, unreachable, no TLS, or not in time. */
export class ConnectFailedError extends Error {
  override readonly name = 'ConnectFailedError'
}

/** Sends one request on a connection of its own. Redirects are not followed. */
export function requestUpstream(input: UpstreamRequest): Upstream {
  const start = input.url.protocol === 'https:' ? httpsRequest : httpRequest
  const body = start(input.url, {
    method: input.method,
    headers: input.headers,
    agent: false,
    signal: input.signal,
    ...(input.addresses === undefined ? {} : { lookup: pinned(input.addresses) }),
  })
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    let isConnected = false
    const timer = setTimeout(
      () => body.destroy(new Error(`no connection within ${input.connectTimeoutMs} ms`)),
      input.connectTimeoutMs,
    )
    const onConnected = () => {
      isConnected = true
      clearTimeout(timer)
    }
    // Without keep-alive every request has a fresh socket, so this event is still to come.
    body.once('socket', (socket) => {
      socket.once(input.url.protocol === 'https:' ? 'secureConnect' : 'connect', onConnected)
    })
    body.once('response', resolve)
    body.on('error', (cause) => {
      reject(isConnected ? cause : new ConnectFailedError(`cannot reach ${input.url.host}`, { cause }))
    })
    body.once('close', () => {
      clearTimeout(timer)
      reject(new Error(`${input.url.host} closed the connection before it answered`))
    })
  })
  // The caller may still be sending when the answer fails to come.
  response.catch(() => {})
  return { body, response }
}

/**
 * A connected TCP socket to one of the checked addresses. The caller owns and destroys it.
 * @throws when none of them answers in time, or on abort
 */
export function dialTcp(input: {
  readonly host: string
  readonly port: number
  readonly addresses: readonly string[]
  readonly connectTimeoutMs: number
  readonly signal: AbortSignal
}): Promise<Socket> {
  const { host, port, addresses, connectTimeoutMs, signal } = input
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, lookup: pinned(addresses), noDelay: true })
    const settle = (error?: unknown) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.removeListener('error', settle)
      if (error === undefined) return resolve(socket)
      // A late error of a socket that is given up must not be unhandled.
      socket.on('error', () => {})
      socket.destroy()
      reject(new ConnectFailedError(`cannot reach ${host}:${port}`, { cause: error }))
    }
    const onAbort = () => settle(signal.reason)
    const timer = setTimeout(
      () => settle(new Error(`no connection within ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    )
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('error', settle)
    socket.once('connect', () => settle())
  })
}

/** A lookup that answers with what was checked, whatever it is asked. */
function pinned(addresses: readonly string[]): LookupFunction {
  const entries = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_host, options, callback) => {
    const [first] = entries
    if (first === undefined) return callback(new Error('no address to dial'), '')
    if (options.all === true) return callback(null, entries)
    callback(null, first.address, first.family)
  }
}
