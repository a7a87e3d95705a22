import type { IncomingMessage } from 'node:http'
import type { DenialReason, ModelProtocol, ModelRoute } from './contract.ts'
import type { Exchange } from './exchange.ts'

/** The paths of each protocol, and whether the model answers there (and tokens are spent). */
export const MODEL_PATHS: Readonly<Record<ModelProtocol, ReadonlyMap<string, 'answers' | 'counts'>>> = {
  'anthropic-messages': new Map([
    ['/v1/messages', 'answers'],
    ['/v1/messages/count_tokens', 'counts'],
  ]),
  'openai-chat': new Map([['/v1/chat/completions', 'answers']]),
}

export type ModelRequestBody =
  | { readonly kind: 'read'; readonly body: Buffer }
  | { readonly kind: 'refused'; readonly reason: DenialReason; readonly message: string }

/** Largest model request whatever the door allows, bytes: it is held in memory while it is rewritten */
const MODEL_REQUEST_BYTES_MAX = 16 * 1024 * 1024

/**
 * Reads a model request and writes the provider's model name into it, and, for a streamed answer of the OpenAI
 * protocol, the wish to be told the usage.
 */
export async function readModelRequest(
  request: IncomingMessage,
  exchange: Exchange,
  options: { readonly route: ModelRoute; readonly bytesMax: number },
): Promise<ModelRequestBody> {
  const bytesMax = Math.min(options.bytesMax, MODEL_REQUEST_BYTES_MAX)
  const chunks: Buffer[] = []
  const stop = () => request.destroy()
  exchange.signal.addEventListener('abort', stop, { once: true })
  try {
    // Not `for await` to the end of a body too large: leaving the loop would cut the connection before the answer.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      exchange.requestBytes += chunk.length
      if (exchange.requestBytes > bytesMax) {
        return {
          kind: 'refused',
          reason: 'request_too_large',
          message: `a model request has up to ${bytesMax} bytes`,
        }
      }
      chunks.push(chunk)
    }
  } catch {
    return { kind: 'refused', reason: exchange.denied ?? 'closed', message: 'the request was cut off' }
  } finally {
    exchange.signal.removeEventListener('abort', stop)
  }
  return rewrite(Buffer.concat(chunks), options.route)
}

function rewrite(body: Buffer, route: ModelRoute): ModelRequestBody {
  let message: unknown
  try {
    message = JSON.parse(body.toString('utf8'))
  } catch {
    message = undefined
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    return { kind: 'refused', reason: 'request_invalid', message: 'a model request is a JSON object' }
  }
  const rewritten: Record<string, unknown> = { ...message }
  if (route.upstreamModel !== null) rewritten.model = route.upstreamModel
  if (route.protocol === 'openai-chat' && rewritten.stream === true) {
    rewritten.stream_options = { include_usage: true }
  }
  return { kind: 'read', body: Buffer.from(JSON.stringify(rewritten)) }
}
