/** Stores for tests: the same suite runs over each of `STORES`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunId, StepInstanceId } from '../../src/domain/id.ts'
import type { Project } from '../../src/domain/project.ts'
import type { WorkflowRecord } from '../../src/domain/records.ts'
import type { LeaseProof, RunPins } from '../../src/domain/run.ts'
import type { Attempt, StepInstance } from '../../src/domain/step.ts'
import type { Ticket } from '../../src/domain/ticket.ts'
import type { Claim, CreateTicketInput, NewStepInstance, Store } from '../../src/store/contract.ts'
import { openPostgresStore } from '../../src/store/postgres/postgres-store.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'
import { whyNoPostgres } from './postgres-server.ts'
import { createSeededBytes } from './seeded-bytes.ts'
import { borrowDatabase, withManualClock } from './store-postgres.ts'
import { waitUntilBlocked, whileUncommitted, withPostgresSql, withSqliteCopy } from './store-sql.ts'

export type StoreUnderTest = {
  readonly name: string
  /** Whether what is closed can be opened again with what was in it */
  readonly isDurable: boolean
  /** Whether several transactions write at once, so that what is asked together happens in any order */
  readonly isConcurrent: boolean
  open(): Promise<TestStore>
}

export type TestStore = AsyncDisposable & {
  /** The open store; another object after `reopen` */
  readonly store: Store
  readonly clock: ManualClock
  /** A folder for this test's files, removed at the end */
  readonly folder: string
  reopen(): Promise<void>
  /** A further store on the same database, as another process has it; only of a concurrent one. Closed at the end */
  openAnother(): Promise<Store>
  /** Runs a statement in a transaction of its own, which commits when the part has ended; only of a concurrent one */
  whileUncommitted(statement: string, part: () => Promise<void>): Promise<void>
  /** Resolves when somebody waits for a lock of somebody else; only of a concurrent one */
  waitUntilBlocked(): Promise<void>
  /** Works on the database, or a copy of it, with SQL of its own; nothing of it stays. */
  withSql<T>(work: (sql: TestSql) => Promise<T>): Promise<T>
}

/** The database below a store, for what a store does not offer. */
export type TestSql = {
  all(sql: string): Promise<readonly Record<string, unknown>[]>
  /** A statement that fails changes nothing and leaves the others possible. */
  exec(sql: string): Promise<void>
  listTables(): Promise<readonly string[]>
  listColumns(table: string): Promise<readonly string[]>
  /** The words that the column `status` lets in, as the table was defined */
  listStatuses(table: string): Promise<readonly string[]>
  /** Runs the part while the trigger that watches over moves of a status does nothing. */
  withoutMoveGuard(table: string, part: () => Promise<void>): Promise<void>
  /** How the database words a refusal */
  readonly refusals: Readonly<Record<'check' | 'notNull' | 'type' | 'foreignKey' | 'unique', RegExp>>
}

export const STORES: readonly StoreUnderTest[] = [
  {
    name: 'SQLite in memory',
    isDurable: false,
    isConcurrent: false,
    open: async () => await openSqliteTestStore(() => ':memory:'),
  },
  {
    name: 'SQLite on disk',
    isDurable: true,
    isConcurrent: false,
    open: async () => await openSqliteTestStore((folder) => join(folder, 'swarm.db')),
  },
  ...(whyNoPostgres === undefined
    ? [{ name: 'PostgreSQL', isDurable: true, isConcurrent: true, open: openPostgresTestStore }]
    : []),
]

async function openSqliteTestStore(toPath: (folder: string) => string): Promise<TestStore> {
  const folder = await mkdtemp(join(tmpdir(), 'swarm-store-'))
  const clock = createManualClock()
  const randomBytes = createSeededBytes(1)
  const open = async () => await openSqliteStore({ path: toPath(folder), clock, randomBytes })
  let store = await open()
  return {
    get store() {
      return store
    },
    clock,
    folder,
    async reopen() {
      await store.close()
      store = await open()
    },
    openAnother: refuse,
    whileUncommitted: refuse,
    waitUntilBlocked: refuse,
    withSql: (work) => withSqliteCopy(store, folder, work),
    async [Symbol.asyncDispose]() {
      await store.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const refuse = () => Promise.reject(new Error('one process at a time has an SQLite store'))

async function openPostgresTestStore(): Promise<TestStore> {
  const folder = await mkdtemp(join(tmpdir(), 'swarm-store-'))
  const clock = createManualClock()
  const database = await borrowDatabase()
  let seed = 0
  const openAnother = async () =>
    await withManualClock(
      await openPostgresStore({ location: database.location, randomBytes: createSeededBytes(++seed) }),
      database,
      clock,
    )
  let store = await openAnother()
  const others: Store[] = []
  return {
    get store() {
      return store
    },
    clock,
    folder,
    async reopen() {
      await store.close()
      store = await openAnother()
    },
    async openAnother() {
      const another = await openAnother()
      others.push(another)
      return another
    },
    whileUncommitted: (statement, part) => whileUncommitted(database, statement, part),
    waitUntilBlocked: () => waitUntilBlocked(database),
    withSql: (work) => withPostgresSql(database, work),
    async [Symbol.asyncDispose]() {
      await Promise.all([store, ...others].map((one) => one.close()))
      await database.drop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Every row of every table, as text: equal before and after means nothing was changed. */
export async function dump(test: TestStore): Promise<string> {
  return await test.withSql(async (sql) => {
    const parts: string[] = []
    for (const table of await sql.listTables()) {
      parts.push(`${table} ${JSON.stringify(await sql.all(`select * from ${table} order by 1, 2`))}`)
    }
    return parts.join('\n')
  })
}

// ---------------------------------------------------------------- scenes

export const HOLDER = 'coordinator-1'
export const LEASE_TTL_MS = 30_000

export const PINS: RunPins = {
  baseCommit: null,
  startCommit: null,
  baseBranch: null,
  branch: null,
  agent: null,
  setup: [],
  checks: [],
  rule: 'test',
  feedback: null,
}

let projectCount = 0

export async function createTestProject(store: Store): Promise<Project> {
  return await store.write.createProject({ key: `P${++projectCount}`, name: 'Project', actor: 'test' })
}

export async function createTestTicket(
  store: Store,
  project: Project,
  input: Partial<CreateTicketInput> = {},
): Promise<Ticket> {
  return await store.write.createTicket({ projectId: project.id, title: 'Ticket', actor: 'test', ...input })
}

/** Claims what is next and says it must be there. */
export async function claim(store: Store, holder: string = HOLDER): Promise<Claim & { proof: LeaseProof }> {
  const claimed = await store.write.claimNext({ holder, leaseTtlMs: LEASE_TTL_MS })
  if (claimed === undefined) throw new Error('nothing was claimable')
  return { ...claimed, proof: toProof(claimed) }
}

export function toProof({ run }: Claim): LeaseProof {
  return { runId: run.id, holder: run.lease.holder ?? '', epoch: run.lease.epoch }
}

export async function registerTestWorkflow(store: Store, name = 'linear'): Promise<WorkflowRecord> {
  return await store.write.registerWorkflow({
    name,
    version: '1',
    text: 'name: linear',
    digest: 'd1',
    source: 'shipped',
    actor: 'test',
  })
}

export function toNewInstance(stepId: string, index: number | null = null): NewStepInstance {
  const key = index === null ? stepId : `${stepId}[${index}]`
  return { stepId, index, key, kind: 'run', item: index }
}

/** Instances of the run by these names. */
export async function createInstances(
  store: Store,
  proof: LeaseProof,
  ...stepIds: readonly string[]
): Promise<readonly StepInstance[]> {
  return await store.write.createStepInstances({
    ...proof,
    instances: stepIds.map((stepId) => toNewInstance(stepId)),
  })
}

export type RunningScene = {
  readonly project: Project
  readonly ticket: Ticket
  readonly runId: RunId
  readonly proof: LeaseProof
}

/** A ticket whose run was claimed and translated. */
export async function beginScene(
  store: Store,
  input: Partial<CreateTicketInput> = {},
): Promise<RunningScene> {
  const project = await createTestProject(store)
  const created = await createTestTicket(store, project, { priority: 1, ...input })
  const { ticket, proof } = await claim(store)
  if (ticket.id !== created.id) throw new Error(`${ticket.key} was claimed instead of ${created.key}`)
  const workflow = await registerTestWorkflow(store)
  await store.write.translateRun({
    ...proof,
    workflowId: workflow.id,
    workflow: 'linear@1',
    inputs: {},
    pins: PINS,
  })
  return { project, ticket, runId: proof.runId, proof }
}

/** A running attempt of a step called `step`. */
export async function beginAttempt(
  store: Store,
  proof: LeaseProof,
  stepId = 'step',
): Promise<{ instance: StepInstance; attempt: Attempt }> {
  const [instance] = await createInstances(store, proof, stepId)
  if (instance === undefined) throw new Error('no instance was made')
  const attempt = await store.write.startAttempt({ ...proof, stepInstanceId: instance.id, inputs: {} })
  return { instance, attempt }
}

/** An instance that waits for an approval. */
export async function openApproval(
  store: Store,
  proof: LeaseProof,
  stepId = 'approve',
): Promise<{ instanceId: StepInstanceId; waitId: Awaited<ReturnType<Store['write']['openWait']>>['id'] }> {
  const [instance] = await createInstances(store, proof, stepId)
  if (instance === undefined) throw new Error('no instance was made')
  const wait = await store.write.openWait({
    ...proof,
    stepInstanceId: instance.id,
    kind: 'approval',
    subject: 'Ship it?',
  })
  return { instanceId: instance.id, waitId: wait.id }
}
