import { parseArgs } from 'node:util'

/** How much is measured. */
export type BenchOptions = {
  readonly isQuick: boolean
  /** Tickets one after the other, per queue, and the pause before each, `ms` */
  readonly aloneCount: number
  readonly pauseMs: number
  /** Tickets created at once, and how often */
  readonly burstSize: number
  readonly burstCount: number
  /** Tickets that wait behind the measured ones */
  readonly queuedCount: number
  /** Claims from the store alone, per queue */
  readonly claimCount: number
  /** Sandboxes started without a coordinator */
  readonly sandboxCount: number
  /** Time that the idle daemon is watched, `ms`, and time before that for it to calm down */
  readonly idleMs: number
  readonly settleMs: number
}

const FULL: BenchOptions = {
  isQuick: false,
  aloneCount: 100,
  pauseMs: 600,
  burstSize: 50,
  burstCount: 2,
  queuedCount: 10_000,
  claimCount: 500,
  sandboxCount: 40,
  idleMs: 30_000,
  settleMs: 30_000,
}

/** Says that everything still works and prints; its figures mean nothing. */
const QUICK: BenchOptions = {
  isQuick: true,
  aloneCount: 2,
  pauseMs: 0,
  burstSize: 3,
  burstCount: 1,
  queuedCount: 50,
  claimCount: 10,
  sandboxCount: 2,
  idleMs: 1_000,
  settleMs: 0,
}

/** @throws TypeError for an option that does not exist */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({ args: [...args], options: { quick: { type: 'boolean', default: false } } })
  return values.quick ? QUICK : FULL
}
