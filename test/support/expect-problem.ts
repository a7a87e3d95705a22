import { expect } from 'vitest'
import { ApiError } from '../../src/client/client.ts'

/** Waits for the refusal and gives it back; fails when the call succeeds or fails otherwise. */
export async function expectProblem(call: Promise<unknown>, status: number, code: string): Promise<ApiError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ApiError)
  const problem = error as ApiError
  expect({ status: problem.status, code: problem.code }).toEqual({ status, code })
  return problem
}
