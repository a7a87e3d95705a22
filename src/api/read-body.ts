import type { MiddlewareHandler } from 'hono'
import { ApiProblem } from './problem.ts'

export const BODY_BYTES_MAX = 8 * 1024 * 1024
export const JSON_DEPTH_MAX = 64

const JSON_CONTENT_TYPE = /^application\/([a-z.-]+\+)?json\s*(;|$)/i

/** Takes a body that is JSON, not too large and not deeply nested; an empty one stands for `{}`. */
export const readBody: MiddlewareHandler = async (context, next) => {
  const { raw } = context.req
  const text = await readText(raw)
  if (text !== '' && !JSON_CONTENT_TYPE.test(raw.headers.get('content-type') ?? '')) {
    throw new ApiProblem(415, 'unsupported_media_type', 'the body must be application/json')
  }
  if (isDeeperThan(text, JSON_DEPTH_MAX)) {
    throw new ApiProblem(400, 'json_too_deep', `JSON may be nested ${JSON_DEPTH_MAX} levels deep`)
  }
  const headers = new Headers(raw.headers)
  headers.set('content-type', 'application/json')
  headers.delete('content-length')
  const { url, method, signal } = raw
  context.req.raw = new Request(url, { method, headers, body: text === '' ? '{}' : text, signal })
  await next()
}

/** Stops at the bound, whatever `Content-Length` says. */
async function readText(request: Request): Promise<string> {
  if (Number(request.headers.get('content-length') ?? 0) > BODY_BYTES_MAX) throw tooLarge()
  if (request.body === null) return ''
  const chunks: Uint8Array[] = []
  let byteCount = 0
  for await (const chunk of request.body) {
    byteCount += chunk.byteLength
    if (byteCount > BODY_BYTES_MAX) throw tooLarge()
    chunks.push(chunk)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch (error) {
    throw new ApiProblem(400, 'malformed_json', 'the body is not UTF-8', { cause: error })
  }
}

function tooLarge(): ApiProblem {
  return new ApiProblem(413, 'body_too_large', `a request may have ${BODY_BYTES_MAX} bytes`)
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
