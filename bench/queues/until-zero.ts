import { setTimeout as delay } from 'node:timers/promises'

const POLL_MS = 2

/** For queues that do not tell when the end of a job is recorded: asks until nothing is left. The cell has the deadline. */
export async function untilZero(count: () => Promise<number>): Promise<void> {
  while ((await count()) > 0) await delay(POLL_MS)
}
