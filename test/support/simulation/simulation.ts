/**
 * A whole installation in one thread, under a clock and a scheduler of its own: several of the product's coordinators
 * on one real store, outside agents, people, a tracker, and what goes wrong between them, all drawn from one seed.
 *
 * Real: the store with its SQL (SQLite in memory), coordinator, poller, executor, translator, lease keeper,
 * reconciler, reporter, engine, dispatcher, planner, step executor. Modelled: sandboxes and the programs in them
 * (simulated-machine.ts), the tracker (its fake), outside agents and people (calls of the store, as the API's routes
 * make them), logs, the gateway, folders of the state directory. Left out: repositories and forges.
 *
 * The same seed gives the same simulation, up to the last turn: the hash of its trace says so.
 */
import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import type { Coordinator } from '../../../src/coordinator/coordinator.ts'
import type { Store } from '../../../src/store/contract.ts'
import { type Tracker, TrackerError } from '../../../src/tracker/contract.ts'
import {
  createFakeBoard,
  createFakeTracker,
  type FakeBoard,
} from '../../../src/tracker/fake/create-fake-tracker.ts'
import { checkEnd, listUnsettled } from './check-end.ts'
import { type FaultRates, Faults } from './faults.ts'
import { LIFE_WRITES } from './life-writes.ts'
import type { Mutant } from './mutants.ts'
import { Observer, SKEW_MAX_MS, Violation } from './observer.ts'
import { actAsOutsideAgent } from './outside-agent.ts'
import { People } from './people.ts'
import { createSeededRandom, type SeededRandom } from './seeded-random.ts'
import { startSimulatedCoordinator } from './simulated-coordinator.ts'
import { SimulatedMachine } from './simulated-machine.ts'
import { linkStore, type SimulatedDatabase } from './simulated-store.ts'
import { Process, VirtualTime } from './virtual-time.ts'

export type SimulationReport = {
  readonly seed: number
  /** Of everything that happened, in order */
  readonly traceHash: string
  readonly turnCount: number
  readonly writeCount: number
  readonly crashes: ReadonlyMap<string, number>
  readonly freezeCount: number
  /** Length of the simulated time, `ms` */
  readonly lengthMs: number
  readonly violation: string | undefined
  /** What happened, one line each, the last ones */
  readonly trace: readonly string[]
}

/** Time in which things go wrong, `ms` */
const FAULTY_MS = 2_800
/** Longest time after it until everything has come to rest, `ms` */
const SETTLE_MS = 180_000
const LOOK_MS = 200
const TRACE_LINE_COUNT_MAX = 2_000

/** Runs one simulation from its seed to the rest at its end, or to the first promise that is broken. */
export async function simulate(
  database: SimulatedDatabase,
  seed: number,
  { mutant }: { mutant?: Mutant } = {},
): Promise<SimulationReport> {
  const simulation = new Simulation(database, seed, mutant)
  return await simulation.run()
}

class Simulation {
  readonly #database: SimulatedDatabase
  readonly #seed: number
  readonly #mutant: Mutant | undefined
  readonly #random: SeededRandom
  readonly #time = new VirtualTime()
  readonly #faults: Faults
  readonly #observer: Observer
  /** Restarts what has ended; never ends itself */
  readonly #world = new Process('world')
  readonly #board: FakeBoard = createFakeBoard()
  readonly #people: People
  readonly #all: Process[] = []
  readonly #hash = createHash('sha256')
  readonly #lines: string[] = []
  #mistake: unknown
  #turnCount = 0
  #writeCount = 0

  constructor(database: SimulatedDatabase, seed: number, mutant: Mutant | undefined) {
    this.#database = database
    this.#seed = seed
    this.#mutant = mutant
    const random = createSeededRandom(seed)
    this.#random = random
    const trace = (line: string) => this.#trace(line)
    const time = this.#time
    this.#faults = new Faults({
      time,
      random,
      rates: { ...drawRates(random), ...(mutant?.aim && { aim: mutant.aim }) },
      trace,
    })
    this.#observer = new Observer({ sql: database.sql, time, trace })
    this.#people = new People({
      time,
      random,
      board: this.#board,
      world: this.#world,
      link: (process) => this.#link(process),
      begin: (process, work) => this.#begin(process, work),
      onCreated: (ticketId) => this.#observer.acknowledge(ticketId),
      isOver: () => this.#faults.isOver,
    })
  }

  async run(): Promise<SimulationReport> {
    let violation: string | undefined
    try {
      await this.#database.reset(this.#random)
      this.#set()
      await this.#goOnUntil(FAULTY_MS, async () => false)
      this.#faults.stop()
      this.#trace('faults end')
      const isSettled = await this.#goOnUntil(FAULTY_MS + SETTLE_MS, () => this.#isSettled())
      if (!isSettled) {
        throw new Violation(
          'P8: everything comes to rest',
          (await listUnsettled(this.#database.sql)).join('; '),
        )
      }
      await checkEnd(this.#database.sql, this.#board)
    } catch (error) {
      violation = error instanceof Violation ? error.message : inspect(error)
      this.#trace(violation)
    } finally {
      for (const process of this.#all) process.kill()
    }
    return {
      seed: this.#seed,
      traceHash: this.#hash.digest('hex'),
      turnCount: this.#turnCount,
      writeCount: this.#writeCount,
      crashes: this.#faults.crashes,
      freezeCount: this.#faults.freezeCount,
      lengthMs: this.#time.now,
      violation,
      trace: this.#lines,
    }
  }

  /** @returns whether it is over before that instant */
  async #goOnUntil(atMs: number, isOver: () => Promise<boolean>): Promise<boolean> {
    let lookAt = this.#time.now + LOOK_MS
    while (this.#time.now < atMs) {
      if (!(await this.#time.step())) return true
      this.#turnCount++
      if (this.#mistake !== undefined) throw this.#mistake
      await this.#observer.check()
      if (this.#time.now < lookAt) continue
      lookAt = this.#time.now + LOOK_MS
      if (await isOver()) return true
    }
    return false
  }

  async #isSettled(): Promise<boolean> {
    if (!this.#people.isDone || this.#observer.liveSandboxCount > 0) return false
    return (await listUnsettled(this.#database.sql)).length === 0
  }

  #set(): void {
    const machineCount = this.#random.pick([1, 2, 2, 2, 2, 2, 2, 3])
    for (let index = 0; index < machineCount; index++) {
      const machine = new SimulatedMachine(
        {
          time: this.#time,
          random: this.#random,
          watcher: this.#observer,
          goesWrong: (probability) => !this.#faults.isOver && this.#random.chance(probability),
        },
        `host-${index + 1}`,
      )
      const skewMs = this.#random.integer(-SKEW_MAX_MS, SKEW_MAX_MS) + this.#mutantSkewMs(index)
      const slotCount = this.#random.integer(1, 3)
      this.#startCoordinator({ machine, skewMs, slotCount, number: 1 })
    }
    const agentCount = this.#random.pick([0, 0, 1, 2])
    for (let index = 0; index < agentCount; index++) this.#startAgent(`agent-${index + 1}`, 1)
    this.#people.start()
  }

  #mutantSkewMs(index: number): number {
    return index === 0 ? (this.#mutant?.skewMs ?? 0) : 0
  }

  /** Another one follows when it ends, as a service manager does it. */
  #startCoordinator(seat: Seat): void {
    const { machine, skewMs, number } = seat
    const process = this.#newProcess(`${machine.process.name}.${number}`)
    process.skewMs = skewMs
    process.isFragile = true
    const store = this.#link(process)
    const tracker = this.#linkTracker(process)
    process.onGone(() => {
      if (this.#faults.isOver && number > 50) return
      if (!this.#faults.isOver && this.#random.chance(0.15)) machine.cutPower()
      const afterMs = this.#random.pick([50, 200, 800, 1_500])
      this.#time.schedule(this.#world, afterMs, () => this.#startCoordinator({ ...seat, number: number + 1 }))
    })
    this.#begin(process, async () => {
      const coordinator = await startSimulatedCoordinator({
        process,
        store,
        machine,
        random: this.#random,
        tracker,
        slotCount: seat.slotCount,
        onMistake: (error, fact) => this.#onMistake(process, error, fact),
      })
      await this.#stopPolitely(process, coordinator)
    })
  }

  /** Now and then a coordinator is restarted in good order. */
  async #stopPolitely(process: Process, coordinator: Coordinator): Promise<void> {
    if (!this.#random.chance(0.2)) return
    await this.#time.pass(process, this.#random.integer(200, FAULTY_MS))
    if (this.#faults.isOver) return
    this.#trace(`${process.name} is stopped`)
    await coordinator.stop(this.#random.pick(['drain', 'drain', 'now', 'wait']))
    this.#trace(`${process.name} has stopped`)
    process.kill()
  }

  #startAgent(name: string, number: number): void {
    const process = this.#newProcess(`${name}.${number}`)
    process.isFragile = true
    const store = this.#link(process)
    process.onGone(() => {
      this.#time.schedule(this.#world, 1_000, () => this.#startAgent(name, number + 1))
    })
    this.#begin(process, () => actAsOutsideAgent({ process, store, time: this.#time, random: this.#random }))
  }

  #newProcess(name: string): Process {
    const process = new Process(name)
    this.#all.push(process)
    return process
  }

  #begin(process: Process, work: () => Promise<unknown>): void {
    this.#time.schedule(process, 0, () => {
      work().catch((error: unknown) => this.#onMistake(process, error, 'ended'))
    })
  }

  #onMistake(process: Process, error: unknown, fact: string): void {
    if (process.isGone) return
    this.#mistake ??=
      error instanceof Violation ? error : new Error(`${process.name}: ${fact}`, { cause: error })
  }

  #link(process: Process): Store {
    if (!this.#all.includes(process)) this.#all.push(process)
    return linkStore(
      {
        database: this.#database,
        time: this.#time,
        faults: this.#faults,
        mutant: this.#mutant,
        onWrite: (record) => {
          this.#writeCount++
          this.#observer.onWrite(record)
        },
      },
      process,
    )
  }

  /** The tracker over a way that takes time and is not always there. */
  #linkTracker(process: Process): Tracker {
    const tracker = createFakeTracker({ board: this.#board })
    const call = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
      await this.#time.pass(process, this.#faults.delayMs(process))
      const isAimedAt = what.startsWith('writes') && this.#faults.aimsAt('failEffect')
      if ((isAimedAt || !this.#faults.isOver) && this.#random.chance(isAimedAt ? 0.5 : 0.1)) {
        throw new TrackerError('tracker_unavailable', 'it does not answer')
      }
      this.#trace(`${process.name} ${what} at the tracker`)
      const answer = await work()
      this.#trace(JSON.stringify(answer))
      await this.#time.pass(process, this.#faults.delayMs(process))
      return answer
    }
    return {
      ...tracker,
      take: (input, signal) => call(`takes ${input.externalId}`, () => tracker.take(input, signal)),
      writeBack: (input, signal) =>
        call(`writes ${input.externalId} ${input.status}`, () => tracker.writeBack(input, signal)),
    }
  }

  #trace(line: string): void {
    const text = `${this.#time.now} ${line}`
    this.#hash.update(text)
    if (this.#lines.length >= TRACE_LINE_COUNT_MAX) this.#lines.shift()
    this.#lines.push(text)
  }
}

type Seat = {
  readonly machine: SimulatedMachine
  readonly skewMs: number
  readonly slotCount: number
  readonly number: number
}

function drawRates(random: SeededRandom): FaultRates {
  return {
    crash: random.pick([0, 0.01, 0.02, 0.03]),
    freeze: random.pick([0, 0.01, 0.02, 0.04]),
    wakeUp: random.pick([0, 0.1, 0.3]),
    delayMaxMs: random.pick([2, 10, 40]),
    aim: { write: random.pick(LIFE_WRITES), fault: random.pick(['before', 'after', 'freeze']) },
  }
}
