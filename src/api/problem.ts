import { RegistryError, type RegistryErrorCode } from '../registry/contract.ts'
import type { Problem } from '../rest-schema/problem.ts'
import { StoreError, type StoreErrorCode } from '../store/errors.ts'

/** A refusal with its status and its stable code; every answer that is no success is one. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  readonly status: number
  readonly code: string
  readonly hint: string | undefined
  readonly errors: Problem['errors']
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: number,
    code: string,
    detail: string,
    more: {
      readonly hint?: string
      readonly errors?: Problem['errors']
      readonly headers?: Readonly<Record<string, string>>
      readonly cause?: unknown
    } = {},
  ) {
    super(detail, { cause: more.cause })
    this.status = status
    this.code = code
    this.hint = more.hint
    this.errors = more.errors
    this.headers = more.headers ?? {}
  }
}

/** What an error means to the one who asked. What is ours stays with us: 500 without details. */
export function toApiProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error
  if (error instanceof StoreError) return fromStoreError(error)
  if (error instanceof RegistryError) return fromRegistryError(error)
  if (isMalformedJson(error)) {
    return new ApiProblem(400, 'malformed_json', 'the body is not valid JSON', { cause: error })
  }
  const hint = 'the log of the coordinator has the cause under the same x-request-id'
  return new ApiProblem(500, 'internal', 'the request could not be carried out', { hint, cause: error })
}

export function toProblemBody(problem: ApiProblem): Problem {
  return {
    type: `urn:swarm:problem:${problem.code}`,
    title: problem.code.replaceAll('_', ' '),
    status: problem.status,
    detail: problem.message,
    code: problem.code,
    ...(problem.hint === undefined ? {} : { hint: problem.hint }),
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
  }
}

type Meaning = { readonly status: number; readonly hint?: string }

const STORE_MEANINGS: Readonly<Record<StoreErrorCode, Meaning>> = {
  not_found: { status: 404 },
  conflict: { status: 409 },
  version_conflict: { status: 412, hint: 'get it again and repeat the change with its new ETag' },
  not_claimable: { status: 409, hint: 'claim another one' },
  lease_lost: { status: 409, hint: 'stop the work: someone else may hold the ticket now' },
  illegal_transition: { status: 409, hint: 'get it again: its status does not allow this' },
  dependency_cycle: { status: 422 },
  idempotency_mismatch: { status: 422, hint: 'use a new Idempotency-Key for a new request' },
  invalid_cursor: { status: 400, hint: 'begin again without a cursor' },
  newer_version: { status: 503 },
  corrupt: { status: 503 },
  foreign_file: { status: 503 },
  read_only: { status: 503 },
  disk_full: { status: 507, hint: 'free some space on the host of the coordinator' },
  locked: { status: 503, hint: 'try again' },
  unavailable: { status: 503, hint: 'try again' },
}

function fromStoreError(error: StoreError): ApiProblem {
  const { status, hint } = STORE_MEANINGS[error.code]
  return new ApiProblem(status, error.code, error.message, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  })
}

const REGISTRY_STATUSES: Readonly<Partial<Record<RegistryErrorCode, number>>> = {
  not_found: 404,
  version_taken: 409,
  package_changed: 409,
}

function fromRegistryError(error: RegistryError): ApiProblem {
  const errors = error.problems.map((message) => ({ in: 'body', pointer: '', message }))
  return new ApiProblem(REGISTRY_STATUSES[error.code] ?? 422, error.code, error.message, {
    errors,
    cause: error,
  })
}

function isMalformedJson(error: unknown): boolean {
  return error instanceof Error && 'status' in error && error.status === 400
}
