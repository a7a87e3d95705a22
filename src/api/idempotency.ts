import { createHash } from 'node:crypto'
import type { Json } from '../domain/json.ts'
import type { OperationSpec } from '../rest-schema/operation.ts'
import type { StoreWriter } from '../store/contract.ts'
import type { AnyAnswer, AnyHandler, HandlerInput } from './operation.ts'
import { ApiProblem } from './problem.ts'

const KEY = /^[\x21-\x7e]{1,200}$/

/** @throws ApiProblem 400 when the header is there and is none */
export function readIdempotencyKey(header: string | undefined): string | undefined {
  if (header === undefined || KEY.test(header)) return header
  throw new ApiProblem(
    400,
    'idempotency_key_invalid',
    'Idempotency-Key has 1 to 200 visible ASCII characters',
  )
}

/**
 * Runs the handler in one transaction with its answer, or gives the kept answer. Keys belong to the credential:
 * nobody sees another's answers. A refusal and an empty answer (204) are not kept: asking again may go better.
 */
export async function answerOnce(request: {
  readonly write: StoreWriter
  readonly key: string
  readonly spec: OperationSpec
  readonly input: HandlerInput<unknown>
  readonly handler: AnyHandler
}): Promise<AnyAnswer> {
  const { write, spec, input, handler } = request
  const key = `${input.caller.tokenId ?? 'owner'}:${spec.id}:${request.key}`
  let fresh: AnyAnswer | undefined
  try {
    const { value } = await write.once(
      { key, fingerprint: toFingerprint(spec, input) },
      async (transaction) => {
        const answer = await handler({ ...input, write: transaction })
        if (answer instanceof Response)
          throw new TypeError(`${spec.id} streams its answer: it cannot be kept`)
        if (answer.status === 204) throw new NothingToKeep()
        fresh = answer
        // What a handler gives is what JSON.stringify is about to see.
        return { status: answer.status, body: answer.body as Json, version: answer.version ?? null }
      },
    )
    if (fresh !== undefined) return fresh
    return toAnswer(value)
  } catch (error) {
    if (error instanceof NothingToKeep) return { status: 204 }
    throw error
  }
}

/** Rolls the transaction back: it changed nothing, and its answer is not to be kept. */
class NothingToKeep extends Error {}

function toAnswer(kept: { status: number; body: Json; version: number | null }): AnyAnswer {
  const { status, body, version } = kept
  // It was the status of a success when it was kept.
  return { status: status as 200, body, ...(version === null ? {} : { version }) }
}

function toFingerprint(spec: OperationSpec, { params, query, body }: HandlerInput<unknown>): string {
  return createHash('sha256')
    .update(JSON.stringify([spec.id, params ?? null, query ?? null, body ?? null]))
    .digest('hex')
}
