/**
 * The real store, in memory, as many simulated processes see it: over a way that takes time, loses wake-ups or brings
 * them twice, and on which a process may end before its write arrived, or after it was done and before it heard so.
 */
import { CompiledQuery, type Kysely } from 'kysely'
import type { SwarmEvent } from '../../../src/domain/event.ts'
import { loadWorkflow } from '../../../src/engine/load-workflow.ts'
import type { Store, StoreReader, StoreWriter } from '../../../src/store/contract.ts'
import { StoreError } from '../../../src/store/errors.ts'
import { MIGRATIONS } from '../../../src/store/migrations/list.ts'
import { openSqliteStore } from '../../../src/store/sqlite/sqlite-store.ts'
import { MANUAL_CLOCK_START } from '../manual-clock.ts'
import { createSeededBytes } from '../seeded-bytes.ts'
import type { Faults } from './faults.ts'
import type { Mutant } from './mutants.ts'
import type { SeededRandom } from './seeded-random.ts'
import { findCurrent, type Process, type VirtualTime } from './virtual-time.ts'
import { WORKFLOWS } from './workflows.ts'

/** One write as it arrived at the store. */
export type WriteRecord = {
  readonly process: Process
  readonly name: keyof StoreWriter
  readonly input: Readonly<Record<string, unknown>>
  /** What the store answered: `undefined` while it has not, a code when it refused */
  readonly end: { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly code: string }
}

/** SQL of the observer and of mutants, past the store. Only between two calls of the store. */
export type Sql = (text: string, ...values: readonly unknown[]) => Promise<readonly Row[]>
export type Row = Readonly<Record<string, string | number | null>>

export type SimulatedDatabase = AsyncDisposable & {
  readonly store: Store
  readonly sql: Sql
  /** Everything is as it was when the database was opened; identifiers are drawn from this chance. */
  reset(random: SeededRandom): Promise<void>
}

const PROJECT = { key: 'SIM', name: 'Simulation', defaultWorkflow: 'two-steps', actor: 'test' } as const

/** Kept by `reset`: what is the same in every simulation. */
const KEPT = new Set(['workflows', 'store_info', 'status_transitions'])

/** Opened once for many simulations: that takes longer than most of them. */
export async function openSimulatedDatabase(): Promise<SimulatedDatabase> {
  let randomBytes = createSeededBytes(0)
  let below: Kysely<never> | undefined
  const store = await openSqliteStore({
    path: ':memory:',
    clock: { now: tellTime },
    randomBytes: (count) => randomBytes(count),
    // The only way to the connection: in memory there is no second one.
    migrations: [
      ...MIGRATIONS,
      {
        number: MIGRATIONS.length + 1,
        name: 'observe',
        up: async (db) => {
          below = db
        },
      },
    ],
  })
  const sql: Sql = async (text, ...values) => {
    if (below === undefined) throw new Error('the store was not migrated')
    const { rows } = await below.executeQuery(CompiledQuery.raw(text, [...values]))
    return rows as readonly Row[]
  }
  for (const { name, text } of WORKFLOWS) {
    const record = { name, version: '1', text, digest: name, source: 'shipped', actor: 'test' } as const
    const { id } = await store.write.registerWorkflow(record)
    // Kept parsed in the process from now on: the first simulation is to find it as every other one does.
    await loadWorkflow(store.read, id)
  }
  const names = await sql(`select name from sqlite_master where type = 'table'`)
  const emptied = names.map(({ name }) => String(name)).filter((name) => !KEPT.has(name))
  return {
    store,
    sql,
    async reset(random) {
      randomBytes = random.bytes
      preparedCount++
      await sql('pragma foreign_keys = off')
      for (const table of emptied) await sql(`delete from ${table}`)
      await sql('pragma foreign_keys = on')
      await store.write.createProject(PROJECT)
    },
    [Symbol.asyncDispose]: () => store.close(),
  }
}

/** How often a database was prepared: an instant of its own each time, so that no identifier goes on from the last one */
let preparedCount = 0

/** The store's clock as the calling process knows it. */
function tellTime(): number {
  const here = findCurrent()
  if (here === undefined) return MANUAL_CLOCK_START - 1_000_000 + preparedCount
  return MANUAL_CLOCK_START + here.time.now + here.process.skewMs
}

export type StoreLinkDeps = {
  readonly database: SimulatedDatabase
  readonly time: VirtualTime
  readonly faults: Faults
  readonly mutant: Mutant | undefined
  /** Called when a write has been answered, in the turn in which it was made */
  readonly onWrite: (record: WriteRecord) => void
}

/** Resolves never: who waits for it is gone. */
export const NEVER = new Promise<never>(() => {})

/** The store as one process sees it. */
export function linkStore(deps: StoreLinkDeps, process: Process): Store {
  const { database, time } = deps
  const { store } = database
  return {
    read: toObject(store.read, (name) => (input) => readLate(deps, process, name, input)),
    write: toObject(
      store.write,
      (name) =>
        (...input) =>
          write(deps, process, name, input),
    ),
    subscribe: (listener) => subscribe(deps, process, listener),
    // As on a database that several coordinators share.
    capabilities: { isExclusive: false },
    now: () => time.runIn(process, tellTime),
    backup: (path) => store.backup(path),
    close: async () => {},
  }
}

function toObject<T extends object>(methods: T, bind: (name: keyof T) => (...input: never[]) => unknown): T {
  // Each entry has the type of the method of its name.
  return Object.fromEntries(Object.keys(methods).map((name) => [name, bind(name as keyof T)])) as unknown as T
}

async function write(
  deps: StoreLinkDeps,
  process: Process,
  name: keyof StoreWriter,
  [input, ...more]: readonly object[],
): Promise<unknown> {
  const { database, time, faults, mutant } = deps
  if (process.isGone) return await NEVER
  await time.pass(process, faults.delayMs(process, name))
  const fault = faults.onWrite(process, name)
  if (fault === 'before') {
    process.kill()
    return await NEVER
  }
  const altered = await mutant?.alter?.({ name, input: input ?? {}, process, sql: database.sql })
  // The methods' types are those of what was called, name by name.
  const method = database.store.write[name] as (...input: unknown[]) => Promise<unknown>
  const end = await attempt(() => method(altered ?? input, ...more))
  const told = end.ok ? end : { ok: false as const, code: end.error.code }
  deps.onWrite({ process, name, input: (input ?? {}) as WriteRecord['input'], end: told })
  if (fault === 'after') {
    process.kill()
    return await NEVER
  }
  await time.pass(process, faults.delayMs(process))
  if (end.ok) return end.value
  throw end.error
}

async function attempt(
  work: () => Promise<unknown>,
): Promise<{ ok: true; value: unknown } | { ok: false; error: StoreError }> {
  try {
    return { ok: true, value: await work() }
  } catch (error) {
    if (error instanceof StoreError) return { ok: false, error }
    throw error
  }
}

/** Some answers are old when they arrive. */
async function readLate(
  { database, time, faults }: StoreLinkDeps,
  process: Process,
  name: keyof StoreReader,
  input: never,
): Promise<unknown> {
  if (process.isGone) return await NEVER
  const answer = await (database.store.read[name] as (input: never) => Promise<unknown>)(input)
  if (process.isFragile && faults.isReadLate()) await time.pass(process, faults.delayMs(process))
  return answer
}

function subscribe(
  { database, time, faults }: StoreLinkDeps,
  process: Process,
  listener: (events: readonly SwarmEvent[]) => void,
): () => void {
  const end = database.store.subscribe((events) => {
    for (const delayMs of faults.wakeUps(process)) time.schedule(process, delayMs, () => listener(events))
  })
  process.onGone(end)
  return end
}
