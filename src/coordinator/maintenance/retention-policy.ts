/** How long what has ended is kept, and how much of it; `null`: for ever. */
export type RetentionPolicy = {
  /** Age of events, `ms` */
  readonly eventsMs: number | null
  /** Newest events that are kept at most */
  readonly eventCountMax: number | null
  /** Time since a ticket ended for which steps and attempts of its runs are kept, `ms` */
  readonly runsMs: number | null
  readonly logsMs: number | null
  readonly logBytesMax: number | null
  readonly artifactsMs: number | null
  readonly artifactBytesMax: number | null
  /** The same for refs of attempts in mirrors, `ms` */
  readonly workMs: number | null
}

/** Newest events that always stay: whoever looks at a quiet system sees what happened last */
export const EVENT_COUNT_KEPT = 1_000
