import { createHash } from 'node:crypto'
import type { Json } from '../domain/json.ts'
import type { OperationSpec } from '../rest-schema/operation.ts'
import type { StoreWriter } from '../store/contract.ts'
import type { AnyAnswer, AnyHandler, AnyInput } from './operation.ts'
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

export type KeyedRequest = {
  readonly write: StoreWriter
  /** As the header says */
  readonly key: string
  readonly spec: OperationSpec
  readonly input: AnyInput
  readonly handler: AnyHandler
}

/**
 * Gives the kept answer, or lets the handler make the change in one transaction with its answer. Keys belong to the
 * credential: nobody sees another's answers. A refusal and an empty answer (204) are not kept: asking again may go
 * better.
 */
export async function answerOnce(request: KeyedRequest): Promise<AnyAnswer | Response> {
  const { handler, input } = request
  const kept = await findKept(request)
  if (kept !== undefined) return kept
  try {
    return await handler({ ...input, change: (work) => changeOnce(request, work) })
  } catch (error) {
    // The same request at the same time may have won between our two looks; then its answer is ours.
    const won = await findKept(request)
    if (won !== undefined) return won
    throw error
  }
}

async function changeOnce(
  request: KeyedRequest,
  work: Parameters<AnyInput['change']>[0],
): Promise<AnyAnswer> {
  let fresh: AnyAnswer | undefined
  try {
    const { value } = await request.write.once(toOnceInput(request), async (transaction) => {
      const answer = await work(transaction)
      if (answer.status === 204) throw new NothingToKeep()
      fresh = answer
      // What a handler gives is what JSON.stringify is about to see.
      return { status: answer.status, body: answer.body as Json, version: answer.version ?? null }
    })
    return fresh ?? toAnswer(value)
  } catch (error) {
    if (error instanceof NothingToKeep) return { status: 204 }
    throw error
  }
}

/** Looks without leaving anything behind: the transaction of a key that is new is rolled back. */
async function findKept(request: KeyedRequest): Promise<AnyAnswer | undefined> {
  try {
    const { value } = await request.write.once<KeptAnswer>(toOnceInput(request), async () => {
      throw new NothingToKeep()
    })
    return toAnswer(value)
  } catch (error) {
    if (error instanceof NothingToKeep) return undefined
    throw error
  }
}

/** Rolls a transaction back that has nothing to keep. */
class NothingToKeep extends Error {}

type KeptAnswer = { status: number; body: Json; version: number | null }

function toOnceInput({ key, spec, input }: KeyedRequest) {
  return {
    key: `${input.caller.tokenId ?? 'owner'}:${spec.id}:${key}`,
    fingerprint: toFingerprint(spec, input),
  }
}

function toAnswer(kept: KeptAnswer): AnyAnswer {
  const { status, body, version } = kept
  // It was the status of a success when it was kept.
  return { status: status as 200, body, ...(version === null ? {} : { version }) }
}

function toFingerprint(spec: OperationSpec, { params, query, body }: AnyInput): string {
  return createHash('sha256')
    .update(JSON.stringify([spec.id, params ?? null, query ?? null, body ?? null]))
    .digest('hex')
}
