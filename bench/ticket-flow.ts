import { setTimeout as delay } from 'node:timers/promises'
import type { MeasuredSwarm, TicketMarks } from './measured-swarm.ts'
import { printHead, printSample } from './report.ts'
import type { Sample } from './sample.ts'

/**
 * One after the other, each into a coordinator that is idle again. Two or more swarms take turns, so that what the
 * machine does meanwhile is in all.
 */
export async function runAlone(
  swarms: readonly MeasuredSwarm[],
  { count, pauseMs }: { count: number; pauseMs: number },
): Promise<TicketMarks[][]> {
  const marks: TicketMarks[][] = swarms.map(() => [])
  for (const swarm of swarms) await swarm.runTicket()
  for (let i = 0; i < count; i++) {
    for (const [index, swarm] of swarms.entries()) {
      await delay(pauseMs)
      marks[index]?.push(await swarm.runTicket())
    }
  }
  return marks
}

/** All at once, then all at once again, in turns. */
export async function runBursts(
  swarms: readonly MeasuredSwarm[],
  { size, count }: { size: number; count: number },
): Promise<TicketMarks[][]> {
  const marks: TicketMarks[][] = swarms.map(() => [])
  for (let i = 0; i < count; i++) {
    for (const [index, swarm] of swarms.entries()) {
      const burst = await Promise.all(Array.from({ length: size }, () => swarm.runTicket()))
      marks[index]?.push(...burst)
    }
  }
  return marks
}

export const INTERVALS = {
  createdToClaimed: (marks: TicketMarks) => marks.claimedAt - marks.createAskedAt,
  claimedToSpawn: (marks: TicketMarks) => marks.spawnAskedAt - marks.claimedAt,
  spawnToStarted: (marks: TicketMarks) => marks.startedAt - marks.spawnAskedAt,
  spawnToReady: (marks: TicketMarks) => marks.spawnedAt - marks.spawnAskedAt,
  readyToStarted: (marks: TicketMarks) => marks.startedAt - marks.spawnedAt,
  startedToDone: (marks: TicketMarks) => marks.doneAt - marks.startedAt,
  createdToDone: (marks: TicketMarks) => marks.doneAt - marks.createAskedAt,
} as const

const NAMES: Readonly<Record<keyof typeof INTERVALS, string>> = {
  createdToClaimed: 'store.create → claimed',
  claimedToSpawn: "claimed → spawn (the engine's own part)",
  spawnToStarted: 'spawn → process started',
  spawnToReady: '  of it: spawn → sandbox ready',
  readyToStarted: '  of it: ready → context put, program started',
  startedToDone: 'process started → done',
  createdToDone: 'store.create → done',
}

const PHASES = { record: 'record written', process: 'process started', connect: 'guest answers' } as const

export function printFlow(title: string, tickets: readonly TicketMarks[]): void {
  printHead(title)
  for (const [interval, name] of Object.entries(NAMES)) {
    printSample(name, sampleOf(tickets, interval as keyof typeof INTERVALS))
    if (interval === 'spawnToReady') printPhases(tickets)
  }
}

export function sampleOf(tickets: readonly TicketMarks[], interval: keyof typeof INTERVALS): Sample {
  return tickets.map(INTERVALS[interval])
}

/** Instants within a start, counted from its beginning. */
function printPhases(tickets: readonly TicketMarks[]): void {
  for (const [phase, name] of Object.entries(PHASES)) {
    const sample = tickets.flatMap(({ timings }) => timings[phase as keyof typeof PHASES] ?? [])
    if (sample.length > 0) printSample(`    until ${name}`, sample)
  }
}
