/** The queue stays quick however long it is: claims go by an index, in its order, without sorting. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Store } from '../../src/store/contract.ts'
import { findNextDueAt } from '../../src/store/reads/find-next-due-at.ts'
import { openConnection } from '../../src/store/sqlite/connection.ts'
import { createQueries } from '../../src/store/sqlite/queries.ts'
import { sqliteDialect } from '../../src/store/sqlite/sqlite-dialect.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import type { Tx } from '../../src/store/transaction.ts'
import { claimEffects } from '../../src/store/writes/claim-effects.ts'
import { findBestCandidate } from '../../src/store/writes/claim-order.ts'
import { expireLeases } from '../../src/store/writes/expire-leases.ts'
import { expireWaits } from '../../src/store/writes/expire-waits.ts'
import { createSeededBytes } from '../support/seeded-bytes.ts'
import { createTestProject, createTestTicket } from '../support/store.ts'

const QUEUED_COUNT = 10_000

let folder: string
let path: string
let store: Store
let projectId: Awaited<ReturnType<typeof createTestProject>>['id']

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'swarm-store-speed-'))
  path = join(folder, 'swarm.db')
  store = await openSqliteStore({ path, clock: { now: () => Date.now() }, randomBytes: createSeededBytes(4) })
  const project = await createTestProject(store)
  projectId = project.id
  await createTestTicket(store, project, { priority: 5 })
  await multiply()
})
afterEach(async () => {
  await store.close()
  await rm(folder, { recursive: true, force: true })
})

/** The one ticket 10,000 times, in one statement: 10,000 writes would be the longest part of the test. */
async function multiply(): Promise<void> {
  await store.close()
  const db = new DatabaseSync(path)
  const columns = db
    .prepare("select name from pragma_table_info('tickets')")
    .all()
    .map(({ name }) => String(name))
  const others: Record<string, string> = { id: "'tkt_' || i", key: "key || '-' || i", number: 'i + 1' }
  db.exec(`
    with recursive n(i) as (select 1 union all select i + 1 from n where i < ${QUEUED_COUNT})
    insert into tickets (${columns.join(', ')})
    select ${columns.map((column) => others[column] ?? column).join(', ')} from tickets, n;
    update projects set ticket_count = ${QUEUED_COUNT + 1};
  `)
  db.close()
  store = await openSqliteStore({ path, clock: { now: () => Date.now() }, randomBytes: createSeededBytes(5) })
}

test('claiming reads both queues by an index, in order, and sorts nothing', async () => {
  const plans = await explain(async (tx) => await findBestCandidate(tx))
  expect(plans).toHaveLength(2)
  expect(plans[0]).toMatch(/USING (COVERING )?INDEX runs_queue/)
  expect(plans[1]).toMatch(
    /SEARCH t USING (COVERING )?INDEX tickets_queue|SCAN t USING (COVERING )?INDEX tickets_queue/,
  )
  for (const plan of plans) expect(plan).not.toMatch(/TEMP B-TREE/)
})

test('what the coordinator asks again and again goes by indexes of what is open', async () => {
  const plans = [
    ...(await explain(async (tx) => await claimEffects(tx, { countMax: 10 }))),
    ...(await explain(async (tx) => await expireLeases(tx, { runCountMax: 1, retryDelayMs: 0 }))),
    ...(await explain(async (tx) => await expireWaits(tx))),
    ...(await explain(async ({ db, now }) => await findNextDueAt({ db, now }))),
  ]
  for (const plan of plans) {
    expect(plan).toMatch(/INDEX/)
    expect(plan).not.toMatch(/SCAN (tickets|runs|effects|waits|e|t|before)(\n|$)|TEMP B-TREE/)
  }
})

/** The plans of the statements that the work runs. */
async function explain(work: (tx: Tx) => Promise<unknown>): Promise<readonly string[]> {
  const connection = openConnection(path, { isReadOnly: true })
  const plans: string[] = []
  const db = createQueries(async (statement, parameters) => {
    const steps = connection.run(`explain query plan ${statement}`, parameters).rows as { detail: string }[]
    plans.push(steps.map(({ detail }) => detail).join('\n'))
    return connection.run(statement, parameters)
  })
  const unused = () => {
    throw new Error('this work only reads')
  }
  await work({ db, dialect: sqliteDialect, now: Date.now(), newId: unused, emit: unused, attempt: unused })
  connection.close()
  return plans
}

test('with 10,000 others queued, a ticket is created and claimed within milliseconds', async () => {
  const latenciesMs: number[] = []
  for (let i = 0; i < 220; i++) {
    const startedAt = performance.now()
    const created = await store.write.createTicket({ projectId, title: 't', priority: 1, actor: 'test' })
    const claimed = await store.write.claimNext({ holder: 'h', leaseTtlMs: 60_000 })
    latenciesMs.push(performance.now() - startedAt)
    expect(claimed?.ticket.id).toBe(created.id)
  }
  // The first ones warm the caches up.
  const sorted = latenciesMs.slice(20).toSorted((a, b) => a - b)
  const [p50, p99] = [sorted[100] ?? 0, sorted[198] ?? 0]
  console.info(
    `store.create → claimed with 10,000 queued: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`,
  )
  // The aims are 3 and 10 ms (`npm run bench`); a test on a busy machine only tells a wrong plan from a right one.
  expect(p50).toBeLessThan(30)
})

test('a long search does not hold up a lease', async () => {
  const words = Array.from({ length: 10 }, (_, index) => `nothing-like-this-${index}`).join(' ')
  const search = Promise.all(Array.from({ length: 5 }, () => store.read.listTickets({ text: words })))
  let isSearching = true
  void search.finally(() => {
    isSearching = false
  })
  await store.write.claimNext({ holder: 'h', leaseTtlMs: 60_000 })
  expect(isSearching).toBe(true)
  await search
})
