/** Two of us and a program that owns the tickets, all after the same rows. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import type { Tracker } from '../../src/tracker/contract.ts'
import { makeForeignDatabase } from '../support/foreign-database.ts'

const FOREIGN_PROCESS = fileURLToPath(new URL('../support/foreign-process.ts', import.meta.url))
const TICKET_COUNT = 200

test.each(['delete', 'wal'] as const)(
  'U2: while another program writes 50 rows a second and takes some itself, each row has one taker (journal_mode = %s)',
  async (journal) => {
    const database = await makeForeignDatabase(undefined, { journal })
    onTestFinished(async () => await database[Symbol.asyncDispose]())
    const child = spawn(process.execPath, [FOREIGN_PROCESS, database.path, 'work', String(TICKET_COUNT)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const stop = new AbortController()
    const lines: string[] = []
    const exit = once(child, 'exit').then(() => stop.abort())
    createInterface(child.stdout).on('line', (line) => lines.push(line))

    const mine = await Promise.all(
      ['swarm:1', 'swarm:2'].map((mark) => takeUntil(database.track(), mark, stop.signal)),
    )
    await exit
    expect(lines.at(-1)).toBe('done')

    const theirs = lines
      .filter((line) => line.startsWith('took '))
      .map((line) => [line.slice(5), 'their worker'])
    const takers = [...mine.flat(), ...theirs]
    expect(new Set(takers.map(([id]) => id)).size).toBe(takers.length)
    expect(takers).toHaveLength(TICKET_COUNT)
    expect(mine.flat().length).toBeGreaterThan(0)
    expect(theirs.length).toBeGreaterThan(0)
    const standing = database.rows('select id, claimed_by as taker, status from tickets')
    expect(standing.every(({ status }) => status === 'in_progress')).toBe(true)
    expect(new Map(standing.map(({ id, taker }) => [id, taker]))).toEqual(
      new Map(takers.map(([id, taker]) => [id, taker])),
    )
  },
)

/** Takes what is open, as often as there is something; gives what was taken. */
async function takeUntil(tracker: Tracker, mark: string, stop: AbortSignal): Promise<string[][]> {
  const taken: string[][] = []
  const signal = () => AbortSignal.timeout(30_000)
  while (!stop.aborted) {
    const page = await tracker.fetchByStates({ states: ['pending'] }, signal())
    for (const { externalId } of page.kind === 'page' ? page.tickets : []) {
      const result = await tracker.take({ externalId, mark, lastWord: null }, signal())
      if (result.kind === 'taken') taken.push([externalId, mark])
    }
    await delay(5)
  }
  return taken
}
