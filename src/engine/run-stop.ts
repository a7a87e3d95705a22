/**
 * Why work on a run stops before its end.
 * - `cancel`: a person asked; sandboxes end, statuses say `canceled`
 * - `lease_lost`: somebody else may hold the run; sandboxes end, nothing is written
 * - `detach`: this process ends; sandboxes live on and are adopted by the next one
 */
export type RunStopMode = 'cancel' | 'lease_lost' | 'detach'

/** The reason that a run's abort signal carries. */
export class RunStop extends Error {
  readonly mode: RunStopMode

  constructor(mode: RunStopMode) {
    super(`the work on this run was stopped: ${mode}`)
    this.name = 'RunStop'
    this.mode = mode
  }
}

/** How the signal was stopped, or `undefined` while it was not. */
export function findStopMode(signal: AbortSignal): RunStopMode | undefined {
  if (!signal.aborted) return undefined
  return signal.reason instanceof RunStop ? signal.reason.mode : 'detach'
}
