/** Why the agent gives up, in words that Swarm's retry rule knows. */
export type CoderReason =
  | 'agent_failed'
  | 'input_invalid'
  | 'no_progress'
  | 'network_failed'
  | 'model_rate_limited'
  | 'model_overloaded'
  | 'model_failed'
  | 'budget'

export class CoderFailure extends Error {
  readonly reason: CoderReason
  /** How long the provider asked to be left alone, `ms` */
  readonly retryAfterMs: number | null

  constructor(reason: CoderReason, message: string, retryAfterMs: number | null = null) {
    super(message)
    this.name = 'CoderFailure'
    this.reason = reason
    this.retryAfterMs = retryAfterMs
  }

  static from(error: unknown): CoderFailure {
    if (error instanceof CoderFailure) return error
    return new CoderFailure('agent_failed', error instanceof Error ? error.message : String(error))
  }
}
