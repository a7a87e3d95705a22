import { type Problem, problemSchema } from '../rest-schema/problem.ts'

/** The server said no, in problem details; or something between said something else. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  /** Stable word for programs: `not_found`, `lease_lost` … */
  readonly code: string
  readonly detail: string
  readonly hint: string | undefined
  /** Every field that was refused */
  readonly errors: NonNullable<Problem['errors']>

  constructor(problem: Problem) {
    super(problem.hint === undefined ? problem.detail : `${problem.detail} (${problem.hint})`)
    this.status = problem.status
    this.code = problem.code
    this.detail = problem.detail
    this.hint = problem.hint
    this.errors = problem.errors ?? []
  }
}

/** No answer at all: nobody listens, the connection broke, the answer is not ours. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError'
  readonly code: string
  constructor(code: 'unreachable' | 'timed_out' | 'answer_invalid', message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

const FOREIGN_TEXT_CHARS_MAX = 300

/** Reads an answer that is not a success. */
export async function toApiError(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => '')
  const parsed = problemSchema.safeParse(parseJson(text))
  if (parsed.success) return new ApiError(parsed.data)
  return new ApiError({
    type: 'about:blank',
    title: response.statusText,
    status: response.status,
    detail: `the server answered ${response.status}: ${text.slice(0, FOREIGN_TEXT_CHARS_MAX)}`,
    code: 'http_error',
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
