/** Stores for tests: the same suite runs over each of `STORES`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { RunId, StepInstanceId } from '../../src/domain/id.ts'
import type { Project } from '../../src/domain/project.ts'
import type { WorkflowRecord } from '../../src/domain/records.ts'
import type { LeaseProof, RunPins } from '../../src/domain/run.ts'
import type { Attempt, StepInstance } from '../../src/domain/step.ts'
import type { Ticket } from '../../src/domain/ticket.ts'
import type { Claim, CreateTicketInput, NewStepInstance, Store } from '../../src/store/contract.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'
import { createSeededBytes } from './seeded-bytes.ts'

export type StoreUnderTest = {
  readonly name: string
  /** Whether what is closed can be opened again with what was in it */
  readonly isDurable: boolean
  open(): Promise<TestStore>
}

export type TestStore = AsyncDisposable & {
  /** The open store; another object after `reopen` */
  readonly store: Store
  readonly clock: ManualClock
  /** A folder for this test's files, removed at the end */
  readonly folder: string
  reopen(): Promise<void>
}

export const STORES: readonly StoreUnderTest[] = [
  { name: 'SQLite in memory', isDurable: false, open: async () => await openTestStore(() => ':memory:') },
  {
    name: 'SQLite on disk',
    isDurable: true,
    open: async () => await openTestStore((folder) => join(folder, 'swarm.db')),
  },
]

async function openTestStore(toPath: (folder: string) => string): Promise<TestStore> {
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
    async [Symbol.asyncDispose]() {
      await store.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Every row of every table, as text: equal before and after means nothing was changed. */
export async function dump(test: TestStore): Promise<string> {
  return await withCopy(test, (copy) => {
    const tables = copy
      .prepare(
        "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name",
      )
      .all()
    return tables
      .map(
        ({ name }) => `${name} ${JSON.stringify(copy.prepare(`select * from ${name} order by 1, 2`).all())}`,
      )
      .join('\n')
  })
}

let copyCount = 0

/** Works on a copy of the database, with SQL of its own. */
export async function withCopy<T>(test: TestStore, work: (copy: DatabaseSync) => T): Promise<T> {
  const path = join(test.folder, `copy-${++copyCount}.db`)
  await test.store.backup(path)
  const copy = new DatabaseSync(path)
  try {
    return work(copy)
  } finally {
    copy.close()
    await rm(path)
  }
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
