import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { ApiProblem } from './problem.ts'

export const BODY_BYTES_MAX = 8 * 1024 * 1024
export const JSON_DEPTH_MAX = 64

const JSON_CONTENT_TYPE = /^application\/([a-z.-]+\+)?json\s*(;|$)/i

/** Stops reading a body at its bound, whatever its `Content-Length` says. */
export const limitBody: MiddlewareHandler = bodyLimit({
  maxSize: BODY_BYTES_MAX,
  onError: () => {
    throw new ApiProblem(413, 'body_too_large', `a request may have ${BODY_BYTES_MAX} bytes`)
  },
})

/** Takes a body that is JSON and not deeply nested; an empty one stands for `{}`. */
export const readBody: MiddlewareHandler = async (context, next) => {
  const text = await context.req.text()
  const contentType = context.req.header('content-type') ?? ''
  if (text !== '' && !JSON_CONTENT_TYPE.test(contentType)) {
    throw new ApiProblem(415, 'unsupported_media_type', 'the body must be application/json')
  }
  if (isDeeperThan(text, JSON_DEPTH_MAX)) {
    throw new ApiProblem(400, 'json_too_deep', `JSON may be nested ${JSON_DEPTH_MAX} levels deep`)
  }
  if (text === '') replaceBody(context, '{}')
  await next()
}

function replaceBody(context: Context, body: string): void {
  const { method, url, signal } = context.req.raw
  const headers = new Headers(context.req.raw.headers)
  headers.set('content-type', 'application/json')
  headers.delete('content-length')
  context.req.raw = new Request(url, { method, headers, body, signal })
  context.req.bodyCache = {}
}

/** Counts open brackets outside strings, before anything is built from the text. */
export function isDeeperThan(text: string, depthMax: number): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = skipString(text, at)
    else if (code === OPEN_ARRAY || code === OPEN_OBJECT) depth += 1
    else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) depth -= 1
    if (depth > depthMax) return true
  }
  return false
}

const [QUOTE, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [34, 92, 91, 93, 123, 125]

/** Position of the closing quote, or the end of the text. */
function skipString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === BACKSLASH) at += 1
    else if (code === QUOTE) return at
  }
  return text.length
}
