import type { JsonObject } from '../domain/json.ts'
import type { Reason } from '../domain/reason.ts'
import { ForgeError } from '../forge/contract.ts'
import type { Logger } from '../platform/log.ts'
import { SandboxError, type SandboxErrorCode } from '../sandbox/contract.ts'

/** The attempt ends here with this reason. Thrown inside the executor only, where it becomes a recorded outcome. */
export class AttemptFailure extends Error {
  readonly reason: Reason
  readonly status: 'failed' | 'lost'
  readonly exitCode: number | null
  readonly outputs: JsonObject | undefined
  readonly retryAfterMs: number | undefined

  constructor(
    reason: Reason,
    detail: string,
    more: {
      status?: 'failed' | 'lost'
      exitCode?: number | null
      outputs?: JsonObject
      retryAfterMs?: number
      cause?: unknown
    } = {},
  ) {
    super(detail, more.cause === undefined ? undefined : { cause: more.cause })
    this.name = 'AttemptFailure'
    this.reason = reason
    this.status = more.status ?? 'failed'
    this.exitCode = more.exitCode ?? null
    this.outputs = more.outputs
    this.retryAfterMs = more.retryAfterMs
  }
}

const REASON_OF_SANDBOX_ERROR: Partial<Record<SandboxErrorCode, Reason>> = {
  sandbox_unavailable: 'sandbox_unavailable',
  sandbox_lost: 'sandbox_lost',
  timed_out: 'sandbox_lost',
  disk_full: 'disk_full',
  host_full: 'disk_full',
}

/**
 * Any error as the failure of an attempt. One that no family names is a mistake of ours: it is logged loudly and
 * counted as an attempt, so that it cannot repeat for ever.
 */
export function toAttemptFailure(error: unknown, logger: Logger): AttemptFailure {
  if (error instanceof AttemptFailure) return error
  if (error instanceof SandboxError) {
    const reason = REASON_OF_SANDBOX_ERROR[error.code] ?? 'sandbox_failed'
    const advice = error.fix === undefined ? '' : ` — ${error.fix}`
    const status = reason === 'sandbox_lost' ? 'lost' : 'failed'
    return new AttemptFailure(reason, `${error.message}${advice}`, { status, cause: error })
  }
  if (error instanceof ForgeError) return new AttemptFailure(error.reason, error.message, { cause: error })
  const message = error instanceof Error ? error.message : String(error)
  if (isNoRoom(error)) return new AttemptFailure('disk_full', message, { cause: error })
  logger.error({ err: error }, 'attempt ended by a mistake in Swarm')
  return new AttemptFailure('sandbox_failed', `internal error: ${message}`, { cause: error })
}

/** This host's disk, in the words of the system or of the store. */
function isNoRoom(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'disk_full'
}
