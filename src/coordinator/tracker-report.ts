import type { TrackerProblem } from '../tracker/contract.ts'

/** What is known of a tracker since this start; see `TrackerMirror`. */
export type TrackerReport = {
  readonly name: string
  readonly kind: string
  /** Key of the project that its tickets belong to */
  readonly project: string
  /** Instant of the last look that came through, `ms` since the epoch */
  readonly lastPollAt: number | null
  /** What keeps it from being mirrored now; `null` when nothing does */
  readonly problem: string | null
  /** Looks in a row that did not come through */
  readonly failureCount: number
  /** Whether the problem needs a person: it does not pass by itself, or has not for a while */
  readonly isOk: boolean
  /** Tickets that stood open there at the last look */
  readonly openThereCount: number
  /** Mirrored tickets that are not ended here, at the last look */
  readonly openHereCount: number
  /** Tickets that were new since this start */
  readonly mirroredCount: number
  /** What could not be mirrored or does not agree, at most `NOTE_COUNT_MAX` */
  readonly notes: readonly TrackerProblem[]
  /** All of them, those that are not kept included */
  readonly noteCount: number
}

export const NOTE_COUNT_MAX = 50

/** Collects what a pass over a tracker finds worth saying. */
export class TrackerNotes {
  readonly #kept: TrackerProblem[] = []
  #count = 0

  add(...problems: readonly TrackerProblem[]): void {
    this.#count += problems.length
    this.#kept.push(...problems.slice(0, Math.max(0, NOTE_COUNT_MAX - this.#kept.length)))
  }

  get kept(): readonly TrackerProblem[] {
    return this.#kept
  }

  get count(): number {
    return this.#count
  }
}
