/** PostgreSQL goes away: what was acknowledged is kept, what was not is not claimed, and work goes on. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isPassing } from '../../src/engine/until-recorded.ts'
import type { Store } from '../../src/store/contract.ts'
import { openPostgresStore } from '../../src/store/postgres/postgres-store.ts'
import { type PostgresProxy, startPostgresProxy } from '../support/postgres-proxy.ts'
import { createTestProject, createTestTicket, LEASE_TTL_MS } from '../support/store.ts'
import { createDatabase, type PostgresDatabase, toLocation } from '../support/store-postgres.ts'
import { waitFor } from '../support/wait-for.ts'
import { describeWithPostgres } from '../support/with-postgres.ts'

describeWithPostgres('PostgreSQL goes away:', () => {
  let database: PostgresDatabase
  let store: Store
  let toClose: Store[]
  let proxy: PostgresProxy | undefined

  const open = async (location = database.location) => {
    const opened = await openPostgresStore({ location, randomBytes })
    toClose.push(opened)
    return opened
  }

  beforeEach(async () => {
    toClose = []
    proxy = undefined
    database = await createDatabase('migrated')
    store = await open()
  })
  afterEach(async () => {
    await Promise.all(toClose.map((one) => one.close()))
    await proxy?.[Symbol.asyncDispose]()
    await database.drop()
  })

  const openThroughProxy = async () => {
    proxy = await startPostgresProxy(database.server.host)
    const url = `postgresql:///${database.name}?host=${proxy.host}&user=swarm`
    return { proxy, far: await open(toLocation(url)) }
  }

  /** Repeats the write as the engine does, until the store takes it or refuses it. */
  async function insist<T>(write: () => Promise<T>): Promise<T> {
    return await waitFor('the store takes the write', async () => {
      try {
        return await write()
      } catch (error) {
        if (!isPassing(error)) throw error
        return undefined
      }
    })
  }

  test('U5: the server crashes during creations and claims, and again while it recovers: nothing acknowledged is lost, nothing is there twice', async () => {
    const project = await createTestProject(store)
    const created: string[] = []
    const claimed: string[] = []
    let isOver = false
    const create = async (worker: number) => {
      for (let index = 0; !isOver || index < 5; index++) {
        const key = `${worker}/${index}`
        const { value } = await insist(() =>
          store.write.once({ key, fingerprint: 'f' }, async (write) => {
            return (await write.createTicket({ projectId: project.id, title: key, actor: 'test' })).id
          }),
        )
        created.push(value)
      }
    }
    const take = async (holder: string) => {
      while (!isOver) {
        const claim = await store.write
          .claimNext({ holder, leaseTtlMs: 60 * LEASE_TTL_MS })
          .catch((error) => {
            expect(isPassing(error), String(error)).toBe(true)
            return undefined
          })
        if (claim === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
        else claimed.push(`${claim.ticket.id} ${holder} ${claim.run.lease.epoch}`)
      }
    }
    const work = Promise.all([create(1), create(2), create(3), take('a'), take('b')])
    for (let round = 0; round < 4; round++) {
      const count = created.length + claimed.length
      await waitFor('work goes on', async () =>
        created.length + claimed.length > count + 20 ? true : undefined,
      )
      await database.server.crash()
      if (round % 2 === 1) await database.server.crashInRecovery()
      await database.server.start()
    }
    isOver = true
    await work
    const rows = await database.server.run(database.name, 'select id, title from tickets')
    const titles = rows.map(({ title }) => title)
    expect(new Set(titles).size).toBe(titles.length)
    const ids = new Set(rows.map(({ id }) => id))
    expect(created.filter((id) => !ids.has(id))).toEqual([])
    const held = await database.server.run(
      database.name,
      "select ticket_id || ' ' || lease_holder || ' ' || lease_epoch as line from runs where status = 'running'",
    )
    const lines = new Set(held.map(({ line }) => line))
    expect(claimed.filter((line) => !lines.has(line))).toEqual([])
    expect(new Set(claimed).size).toBe(claimed.length)
  })

  test('U5: an idle store lives through a crash of the server, in the midst of a checkpoint', async () => {
    const project = await createTestProject(store)
    await createTestTicket(store, project)
    const checkpoint = database.server.run(database.name, 'checkpoint').catch(() => undefined)
    await database.server.crash()
    await checkpoint
    await expect(store.read.listProjects()).rejects.toSatisfy(isPassing)
    await expect(createTestTicket(store, project)).rejects.toSatisfy(isPassing)
    await database.server.start()
    expect(await store.read.listProjects()).toEqual([expect.objectContaining({ ticketCount: 1 })])
    expect((await createTestTicket(store, project)).number).toBe(2)
  })

  test('a write that begins while the server restarts waits for it', async () => {
    const project = await createTestProject(store)
    await database.server.crash()
    const created = createTestTicket(store, project)
    await database.server.start()
    expect((await created).number).toBe(1)
  })

  test('a commit whose answer is lost is found to be done: told once, as a success', async () => {
    const { proxy: between, far } = await openThroughProxy()
    const project = await createTestProject(far)
    between.lose('answer')
    const ticket = await createTestTicket(far, project)
    expect(between.lostCount).toBe(1)
    expect(await store.read.findTicket({ ticketId: ticket.id })).toEqual(ticket)
    expect((await store.read.findProject({ projectId: project.id }))?.ticketCount).toBe(1)
  })

  test('a commit that never reached the server is not acknowledged, and has changed nothing', async () => {
    const { proxy: between, far } = await openThroughProxy()
    const project = await createTestProject(far)
    between.lose('commit')
    await expect(createTestTicket(far, project)).rejects.toMatchObject({ code: 'unavailable' })
    expect(between.lostCount).toBe(1)
    expect((await store.read.listTickets({})).items).toEqual([])
    expect((await createTestTicket(far, project)).number).toBe(1)
  })

  test('who subscribed hears every event once and in order, also of the time when its connection was lost', async () => {
    const heard: number[] = []
    const project = await createTestProject(store)
    const afterSeq = (await store.read.getFigures()).lastEventSeq
    store.subscribe((events) => heard.push(...events.map(({ seq }) => seq).filter((seq) => seq > afterSeq)))
    const other = await open()
    for (let round = 0; round < 5; round++) {
      await createTestTicket(other, project)
      await database.server.run(
        database.name,
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and query like '%final_events_after%'`,
      )
      await createTestTicket(other, project)
    }
    const written = (await store.read.listEvents({ afterSeq })).map(({ seq }) => seq)
    expect(written).toHaveLength(10)
    await expect.poll(() => heard, { timeout: 10_000 }).toEqual(written)
  })

  test('every connection broken at once, under load: each write is answered, those that failed changed nothing', async () => {
    const project = await createTestProject(store)
    const writes = Promise.allSettled(Array.from({ length: 60 }, () => createTestTicket(store, project)))
    await database.server.run(
      database.name,
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    )
    const results = await writes
    const done = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value.number] : []))
    for (const one of results) if (one.status === 'rejected') expect(one.reason).toSatisfy(isPassing)
    const { items } = await store.read.listTickets({ countMax: 500 })
    expect(items.map(({ number }) => number).toSorted((a, b) => a - b)).toEqual(
      done.toSorted((a, b) => a - b),
    )
  })
})
