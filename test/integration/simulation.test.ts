/**
 * Simulations of a whole installation from seeds; see test/support/simulation/simulation.ts for what is real in them.
 * A seed that fails is printed with the command that repeats it to the last turn.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LIFE_WRITES } from '../support/simulation/life-writes.ts'
import { MUTANTS } from '../support/simulation/mutants.ts'
import { openSimulatedDatabase, type SimulatedDatabase } from '../support/simulation/simulated-store.ts'
import { type SimulationReport, simulate } from '../support/simulation/simulation.ts'
import { enterVirtualRuntime } from '../support/simulation/virtual-runtime.ts'

/** One seed, with its trace, in place of all others */
const ONLY = process.env.SWARM_SEED === undefined ? undefined : Number(process.env.SWARM_SEED)
const COUNT = Number(process.env.SWARM_SEED_COUNT ?? 2_000)
const BATCH_COUNT = 100
/** Seeds within which each mutant is found out */
const MUTANT_COUNT = 1_000
/** Real time, generous: a machine may be busy. How long a simulation takes is no promise. */
const TIMEOUT_MS = 600_000

let database: SimulatedDatabase
let leave: () => void
beforeAll(async () => {
  leave = enterVirtualRuntime()
  database = await openSimulatedDatabase()
})
afterAll(async () => {
  leave()
  await database[Symbol.asyncDispose]()
})

const PROMISES = 'U2 U3 U4 U5 U9 U10 P1 P5 P8 P14 P15 P17: what is promised holds at every moment'

if (ONLY !== undefined) {
  test(`${PROMISES} of seed ${ONLY}`, { timeout: TIMEOUT_MS }, async () => {
    const report = await simulate(database, ONLY)
    console.log(report.trace.join('\n'))
    expect(report.violation).toBe(undefined)
  })
} else {
  describe(`${PROMISES} of ${COUNT} simulations`, () => {
    const crashes = new Map<string, number>()
    const reports: Pick<SimulationReport, 'writeCount' | 'freezeCount' | 'lengthMs'>[] = []

    for (let first = 1; first <= COUNT; first += BATCH_COUNT) {
      const last = Math.min(COUNT, first + BATCH_COUNT - 1)
      test(`seeds ${first} to ${last}`, { timeout: TIMEOUT_MS }, async () => {
        const broken: string[] = []
        for (let seed = first; seed <= last; seed++) {
          const report = await simulate(database, seed)
          reports.push(report)
          for (const [what, count] of report.crashes) crashes.set(what, (crashes.get(what) ?? 0) + count)
          if (report.violation !== undefined) broken.push(describeBroken(report))
        }
        expect(broken.join('\n')).toBe('')
      })
    }

    test('a process was killed before and after every write that it makes, and frozen in between', () => {
      const total = (of: 'writeCount' | 'freezeCount' | 'lengthMs') =>
        reports.reduce((sum, report) => sum + report[of], 0)
      const killed = [...crashes.values()].reduce((sum, count) => sum + count, 0)
      const hours = (total('lengthMs') / 3_600_000).toFixed(1)
      console.log(
        `${reports.length} simulations, ${hours} h of simulated time, ${total('writeCount')} writes, ` +
          `${killed} processes killed at ${crashes.size} places, ${total('freezeCount')} frozen`,
      )
      const places = LIFE_WRITES.flatMap((name) => [`before ${name}`, `after ${name}`])
      expect(places.filter((place) => !crashes.has(place))).toEqual([])
    })
  })

  test('the same seed gives the same simulation, whatever was simulated before', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const SEEDS = [3, 14, 99]
    const first: SimulationReport[] = []
    for (const seed of SEEDS) first.push(await simulate(database, seed))
    await using another = await openSimulatedDatabase()
    for (const report of first.toReversed()) {
      const again = await simulate(another, report.seed)
      expect(again.traceHash).toBe(report.traceHash)
      expect(again.trace).toEqual(report.trace)
    }
    expect(new Set(first.map(({ traceHash }) => traceHash)).size).toBe(SEEDS.length)
  })

  describe('P1 U4 U9: each fence that is taken away is missed', () => {
    test.each(MUTANTS)('$name', { timeout: TIMEOUT_MS }, async (mutant) => {
      for (let seed = 1; seed <= MUTANT_COUNT; seed++) {
        const { violation } = await simulate(database, seed, { mutant })
        if (violation === undefined) continue
        console.log(`found out by seed ${seed}: ${violation}`)
        expect(violation).toMatch(/^[UP]\d+: /)
        return
      }
      expect.fail(`not found out by ${MUTANT_COUNT} seeds`)
    })
  })
}

function describeBroken({ seed, violation }: SimulationReport): string {
  return `seed ${seed}: ${violation}\n  again: SWARM_SEED=${seed} npx vitest run --project integration test/integration/simulation.test.ts`
}
