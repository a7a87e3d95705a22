/** Where time comes from; passed in everywhere, so that tests can move it. */
export type Clock = {
  /** `ms` since the epoch */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }
