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
  /** How long the server asks to wait before the next try, `ms` */
  readonly retryAfterMs: number | undefined

  constructor(problem: Problem, retryAfterMs?: number) {
    super(problem.hint === undefined ? problem.detail : `${problem.detail} (${problem.hint})`)
    this.status = problem.status
    this.code = problem.code
    this.detail = problem.detail
    this.hint = problem.hint
    this.errors = problem.errors ?? []
    this.retryAfterMs = retryAfterMs
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
  const retryAfterMs = readRetryAfter(response.headers.get('retry-after'))
  if (parsed.success) return new ApiError(parsed.data, retryAfterMs)
  const foreign = {
    type: 'about:blank',
    title: response.statusText,
    status: response.status,
    detail: `the server answered ${response.status}: ${text.slice(0, FOREIGN_TEXT_CHARS_MAX)}`,
    code: 'http_error',
  }
  return new ApiError(foreign, retryAfterMs)
}

/** Seconds only: an instant would be read by our clock, which may be off. */
function readRetryAfter(header: string | null): number | undefined {
  return header !== null && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
