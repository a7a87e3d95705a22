/** Projects, tickets, dependencies, claims and leases: what every store promises. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SwarmEvent } from '../../src/domain/event.ts'
import type { RunId, TicketId } from '../../src/domain/id.ts'
import type { Project } from '../../src/domain/project.ts'
import type { Ticket } from '../../src/domain/ticket.ts'
import type { Store } from '../../src/store/contract.ts'
import {
  beginScene,
  claim,
  createTestProject,
  createTestTicket,
  dump,
  HOLDER,
  LEASE_TTL_MS,
  openApproval,
  STORES,
  type TestStore,
  toProof,
} from '../support/store.ts'
import { waitFor } from '../support/wait-for.ts'

/** A shared store tells its subscribers soon, not at once */
const HEARD = { timeout: 10_000 }

for (const { name, open, isDurable, isConcurrent } of STORES) {
  describe(name, () => {
    let test_: TestStore
    let store: Store
    let project: Project

    beforeEach(async () => {
      test_ = await open()
      store = test_.store
      project = await createTestProject(store)
    })
    afterEach(async () => await test_[Symbol.asyncDispose]())

    const create = (input: Parameters<typeof createTestTicket>[2] = {}) =>
      createTestTicket(store, project, input)
    const find = async (ticketId: TicketId): Promise<Ticket> => {
      const ticket = await store.read.findTicket({ ticketId })
      if (ticket === undefined) throw new Error(`no ticket ${ticketId}`)
      return ticket
    }
    const finish = async (ticketId: TicketId, to: 'done' | 'failed' | 'canceled') => {
      const { ticket, proof } = await claim(store)
      expect(ticket.id).toBe(ticketId)
      const why = { reason: 'agent_failed', detail: 'it broke' } as const
      if (to === 'done') {
        return await store.write.finishRun({
          ...proof,
          outcome: { status: 'succeeded', outputs: {}, ticket: 'done' },
        })
      }
      if (to === 'failed') {
        return await store.write.finishRun({
          ...proof,
          outcome: { status: 'failed', ...why, ticket: { kind: 'fail' } },
        })
      }
      return await store.write.finishRun({
        ...proof,
        outcome: { status: 'canceled', reason: 'canceled_by_person', detail: 'no' },
      })
    }

    describe('projects', () => {
      test('a project is found by id and key, and its key is unique', async () => {
        expect(await store.read.findProject({ projectId: project.id })).toEqual(project)
        expect(await store.read.findProject({ key: project.key })).toEqual(project)
        expect(await store.read.findProject({ key: 'NOPE' })).toBeUndefined()
        await expect(
          store.write.createProject({ key: project.key, name: 'again', actor: 'test' }),
        ).rejects.toMatchObject({ code: 'conflict' })
        await expect(
          store.write.createProject({ key: 'lower', name: 'x', actor: 'test' }),
        ).rejects.toMatchObject({ code: 'conflict' })
        expect(await store.read.listProjects()).toEqual([project])
      })

      test('an edit on an old version is refused and changes nothing', async () => {
        const edited = await store.write.updateProject({
          projectId: project.id,
          expectedVersion: 1,
          changes: {
            name: 'New',
            defaultWorkflow: 'linear',
            repositoryUrl: '/srv/repo',
            settings: { a: [1] },
          },
          actor: 'test',
        })
        expect(edited).toMatchObject({
          name: 'New',
          version: 2,
          defaultWorkflow: 'linear',
          settings: { a: [1] },
        })
        const before = await dump(test_)
        await expect(
          store.write.updateProject({
            projectId: project.id,
            expectedVersion: 1,
            changes: { name: 'Lost' },
            actor: 'test',
          }),
        ).rejects.toMatchObject({ code: 'version_conflict', currentVersion: 2 })
        expect(await dump(test_)).toBe(before)
      })
    })

    describe('tickets', () => {
      test('each ticket gets the next number of its project, also under concurrency', async () => {
        const other = await createTestProject(store)
        const tickets = await Promise.all([
          ...Array.from({ length: 20 }, () => create()),
          ...Array.from({ length: 5 }, () => createTestTicket(store, other)),
        ])
        const numbers = tickets.slice(0, 20).map(({ number }) => number)
        // In the order of asking only where one transaction follows the other.
        expect(isConcurrent ? numbers.toSorted((a, b) => a - b) : numbers).toEqual(
          Array.from({ length: 20 }, (_, index) => index + 1),
        )
        expect(tickets.slice(20).map(({ key }) => key)).toContain(`${other.key}-5`)
        expect((await store.read.findProject({ projectId: project.id }))?.ticketCount).toBe(20)
      })

      test('what was given is kept, and the rest has its default', async () => {
        const ticket = await create({
          title: 'T',
          body: 'B',
          type: 'bug',
          labels: ['b', 'a', 'b'],
          priority: 1,
          workflow: 'linear@1',
          agent: 'coder',
          inputs: { deep: { list: [1, null, 'x'] } },
          notBefore: 5,
        })
        expect(ticket).toMatchObject({
          title: 'T',
          body: 'B',
          type: 'bug',
          labels: ['b', 'a'],
          priority: 1,
          status: 'pending',
          workflow: 'linear@1',
          agent: 'coder',
          inputs: { deep: { list: [1, null, 'x'] } },
          notBefore: 5,
          version: 1,
          createdBy: 'test',
          createdAt: test_.clock.now(),
        })
        expect(await find(ticket.id)).toEqual(ticket)
        expect(await store.read.findTicket({ key: ticket.key })).toEqual(ticket)
        expect(await create()).toMatchObject({ body: '', type: '', labels: [], priority: 3, inputs: {} })
      })

      test('U14: hostile text comes back as it went in', async () => {
        const hostile = [
          "'; drop table tickets; --",
          '\u0000nul\u0000inside',
          '\u001b[31mred\u0007',
          '🙂 e\u0301 \u202Eright to left',
          '{{ ticket.title }} ${inputs.x} $(reboot) `id`',
          '%s %_\\ "quoted" \'single\'',
          'x'.repeat(1_000_000),
        ]
        for (const text of hostile) {
          // Text that is looked up may be no longer than an index of PostgreSQL can hold.
          const label = text.slice(0, 500)
          const ticket = await create({ title: text, body: text, labels: [label], inputs: { [text]: text } })
          expect(await find(ticket.id)).toMatchObject({ title: text, body: text, inputs: { [text]: text } })
          expect((await store.read.listTickets({ labels: [label] })).items.map(({ id }) => id)).toEqual([
            ticket.id,
          ])
        }
      })

      test('an edit on an old version is refused and changes nothing', async () => {
        const ticket = await create()
        const edited = await store.write.updateTicket({
          ticketId: ticket.id,
          expectedVersion: 1,
          changes: { title: 'New', labels: ['x'], priority: 5, agent: null },
          actor: 'test',
        })
        expect(edited).toMatchObject({ title: 'New', labels: ['x'], priority: 5 })
        expect(edited.version).toBeGreaterThan(1)
        const before = await dump(test_)
        await expect(
          store.write.updateTicket({
            ticketId: ticket.id,
            expectedVersion: 1,
            changes: { title: 'Lost' },
            actor: 'test',
          }),
        ).rejects.toMatchObject({ code: 'version_conflict', currentVersion: edited.version })
        expect(await dump(test_)).toBe(before)
      })

      test('a draft is not claimed until it is made pending, and can be taken back', async () => {
        const draft = await create({ isDraft: true })
        expect(await store.write.claimNext({ holder: HOLDER, leaseTtlMs: 1 })).toBeUndefined()
        const change = async (status: 'pending' | 'draft') =>
          await store.write.updateTicket({ ticketId: draft.id, changes: { status }, actor: 'test' })
        expect((await change('pending')).status).toBe('pending')
        expect((await change('pending')).status).toBe('pending')
        expect((await change('draft')).status).toBe('draft')
        expect((await change('pending')).status).toBe('pending')
        expect((await claim(store)).ticket.id).toBe(draft.id)
        await expect(change('draft')).rejects.toMatchObject({ code: 'illegal_transition' })
        await expect(change('pending')).rejects.toMatchObject({ code: 'conflict' })
      })

      test('a draft with an open dependency becomes blocked, not pending', async () => {
        const first = await create()
        const draft = await create({ isDraft: true, dependsOn: [first.id] })
        expect(draft.status).toBe('draft')
        const opened = await store.write.updateTicket({
          ticketId: draft.id,
          changes: { status: 'pending' },
          actor: 'test',
        })
        expect(opened).toMatchObject({ status: 'blocked', reason: 'dependency_open' })
        await finish(first.id, 'done')
        expect((await find(draft.id)).status).toBe('pending')
      })

      test('comments are kept in order', async () => {
        const ticket = await create()
        for (const body of ['one', 'two', 'three']) {
          await store.write.addComment({ ticketId: ticket.id, author: 'ann', body })
          test_.clock.advance(1)
        }
        expect((await store.read.listComments(ticket.id)).map(({ body }) => body)).toEqual([
          'one',
          'two',
          'three',
        ])
        await expect(
          store.write.addComment({ ticketId: 'tkt_none' as TicketId, author: 'a', body: 'b' }),
        ).rejects.toMatchObject({ code: 'not_found' })
      })

      test('retry: failed and canceled tickets go back to the queue, others do not', async () => {
        const ticket = await create()
        await finish(ticket.id, 'failed')
        expect(await find(ticket.id)).toMatchObject({
          status: 'failed',
          reason: 'agent_failed',
          detail: 'it broke',
          runCount: 1,
        })
        const retried = await store.write.retryTicket({ ticketId: ticket.id, actor: 'ann' })
        expect(retried).toMatchObject({ status: 'pending', reason: null, runCount: 0, finishedAt: null })
        await expect(store.write.retryTicket({ ticketId: ticket.id, actor: 'ann' })).rejects.toMatchObject({
          code: 'conflict',
        })
        const again = await claim(store)
        expect(again.run.number).toBe(2)
        await expect(store.write.retryTicket({ ticketId: ticket.id, actor: 'ann' })).rejects.toMatchObject({
          code: 'conflict',
        })
      })

      test('a dead letter is marked, listed, and requeued in one command', async () => {
        const ticket = await create()
        const { proof } = await claim(store)
        await store.write.finishRun({
          ...proof,
          outcome: { status: 'failed', reason: 'agent_crashed', detail: 'thrice', ticket: { kind: 'dead' } },
        })
        expect((await find(ticket.id)).deadAt).toBe(test_.clock.now())
        expect((await store.read.listTickets({ isDead: true })).items.map(({ id }) => id)).toEqual([
          ticket.id,
        ])
        await store.write.retryTicket({ ticketId: ticket.id, actor: 'ann' })
        expect((await find(ticket.id)).deadAt).toBeNull()
        expect((await store.read.listTickets({ isDead: true })).items).toEqual([])
      })
    })

    describe('cancelation', () => {
      test('a ticket that nobody works on is canceled at once; again changes nothing', async () => {
        const ticket = await create()
        const canceled = await store.write.cancelTicket({ ticketId: ticket.id, actor: 'ann', detail: 'no' })
        expect(canceled).toMatchObject({ status: 'canceled', reason: 'canceled_by_person', detail: 'no' })
        const before = await dump(test_)
        expect(await store.write.cancelTicket({ ticketId: ticket.id, actor: 'bob' })).toEqual(canceled)
        expect(await dump(test_)).toBe(before)
      })

      test('a coordinator that drives the run is asked; the ticket ends when it has ended the run', async () => {
        const { ticket, proof } = await beginScene(store)
        const asked = await store.write.cancelTicket({ ticketId: ticket.id, actor: 'ann' })
        expect(asked.status).toBe('running')
        expect((await store.read.findRun(proof.runId))?.cancelRequestedAt).toBe(test_.clock.now())
        const renewal = await store.write.renewLeases({
          holder: HOLDER,
          leaseTtlMs: LEASE_TTL_MS,
          runs: [proof],
        })
        expect(renewal).toEqual({ lost: [], cancelRequested: [proof.runId] })
        const { ticket: ended } = await store.write.finishRun({
          ...proof,
          outcome: { status: 'canceled', reason: 'canceled_by_person', detail: 'asked' },
        })
        expect(ended.status).toBe('canceled')
      })

      test('a parked run ends at once, with its instances and waits', async () => {
        const { ticket, proof } = await beginScene(store)
        const { instanceId, waitId } = await openApproval(store, proof)
        await store.write.parkRun(proof)
        expect((await store.write.cancelTicket({ ticketId: ticket.id, actor: 'ann' })).status).toBe(
          'canceled',
        )
        expect((await store.read.findRun(proof.runId))?.status).toBe('canceled')
        expect(
          (await store.read.listStepInstances(proof.runId)).map(({ id, status }) => [id, status]),
        ).toEqual([[instanceId, 'canceled']])
        expect((await store.read.findWait(waitId))?.resolvedAt).toBe(test_.clock.now())
        await expect(
          store.write.resolveWait({
            waitId,
            actor: 'ann',
            resolution: { kind: 'succeeded', outputs: {} },
          }),
        ).rejects.toMatchObject({ code: 'conflict' })
      })

      test('a run that an outside agent holds ends here; its next write is refused', async () => {
        const ticket = await create()
        const claimed = await store.write.claimTicket({ holder: 'agent-x', leaseTtlMs: 1_000 })
        if (claimed === undefined) throw new Error('nothing claimed')
        expect((await store.write.cancelTicket({ ticketId: ticket.id, actor: 'ann' })).status).toBe(
          'canceled',
        )
        await expect(store.write.recordProgress({ ...toProof(claimed), data: {} })).rejects.toMatchObject({
          code: 'lease_lost',
        })
      })
    })

    describe('dependencies', () => {
      test('U10: finishing a ticket unblocks its dependents in the same transaction', async () => {
        const [a, b] = [await create(), await create()]
        const both = await create({ dependsOn: [a.id, b.id] })
        expect(both).toMatchObject({ status: 'blocked', reason: 'dependency_open' })
        const commits: string[][] = []
        store.subscribe((events) => commits.push(events.map(({ type }) => type)))
        await finish(a.id, 'done')
        expect((await find(both.id)).status).toBe('blocked')
        await finish(b.id, 'done')
        expect((await find(both.id)).status).toBe('pending')
        await expect
          .poll(() => commits.at(-1), HEARD)
          .toEqual(expect.arrayContaining(['ticket.done', 'ticket.unblocked']))
        expect((await store.read.listDependencies(both.id)).map(({ id }) => id)).toEqual([a.id, b.id])
        expect((await store.read.listDependents(a.id)).map(({ id }) => id)).toEqual([both.id])
      })

      test('U10: a cycle is refused, named ticket by ticket, and changes nothing', async () => {
        const a = await create()
        const b = await create({ dependsOn: [a.id] })
        const c = await create({ dependsOn: [b.id] })
        const before = await dump(test_)
        const depend = async (ticketId: TicketId, dependsOn: TicketId[]) =>
          await store.write.updateTicket({ ticketId, changes: { dependsOn }, actor: 'test' })
        await expect(depend(a.id, [c.id])).rejects.toMatchObject({
          code: 'dependency_cycle',
          keys: [a.key, c.key, b.key, a.key],
        })
        await expect(depend(a.id, [a.id])).rejects.toMatchObject({ code: 'dependency_cycle' })
        await expect(depend(b.id, [a.id, c.id])).rejects.toMatchObject({ code: 'dependency_cycle' })
        expect(await dump(test_)).toBe(before)
      })

      test('U10: a failed or canceled dependency flags its dependents, and a retry takes the flag away', async () => {
        const first = await create()
        const second = await create({ dependsOn: [first.id] })
        await finish(first.id, 'failed')
        expect(await find(second.id)).toMatchObject({ status: 'blocked', reason: 'dependency_failed' })
        await store.write.retryTicket({ ticketId: first.id, actor: 'ann' })
        expect(await find(second.id)).toMatchObject({ status: 'blocked', reason: 'dependency_open' })
        await store.write.cancelTicket({ ticketId: first.id, actor: 'ann' })
        expect(await find(second.id)).toMatchObject({ status: 'blocked', reason: 'dependency_canceled' })
        const flags = await store.read.listEvents({ afterSeq: 0, types: ['ticket.flagged'] })
        expect(flags.map(({ ticketId, data }) => [ticketId, data.reason])).toEqual([
          [second.id, 'dependency_failed'],
          [second.id, 'dependency_canceled'],
        ])
      })

      test('U10: a new ticket that depends on a failed one is flagged from the start', async () => {
        const first = await create()
        await finish(first.id, 'canceled')
        const second = await create({ dependsOn: [first.id] })
        expect(second).toMatchObject({ status: 'blocked', reason: 'dependency_canceled' })
        const freed = await store.write.updateTicket({
          ticketId: second.id,
          changes: { dependsOn: [] },
          actor: 'ann',
        })
        expect(freed).toMatchObject({ status: 'pending', reason: null })
      })

      test('a done dependency does not block; an unknown one is refused', async () => {
        const first = await create()
        await finish(first.id, 'done')
        expect((await create({ dependsOn: [first.id] })).status).toBe('pending')
        await expect(create({ dependsOn: ['tkt_none' as TicketId] })).rejects.toMatchObject({
          code: 'not_found',
        })
        expect((await store.read.findProject({ projectId: project.id }))?.ticketCount).toBe(2)
      })

      test('dependencies of a running ticket are not changed', async () => {
        const first = await create()
        const { ticket } = await claim(store)
        await expect(
          store.write.updateTicket({ ticketId: ticket.id, changes: { dependsOn: [] }, actor: 'ann' }),
        ).rejects.toMatchObject({ code: 'conflict' })
        expect(first.id).toBe(ticket.id)
      })

      test('a pending ticket that gets an open dependency is blocked', async () => {
        const [a, b] = [await create(), await create()]
        const blocked = await store.write.updateTicket({
          ticketId: a.id,
          changes: { dependsOn: [b.id] },
          actor: 'ann',
        })
        expect(blocked.status).toBe('blocked')
        expect((await claim(store)).ticket.id).toBe(b.id)
      })
    })

    describe('the queue', () => {
      test('P15: ordering is priority, then age, then number; a resumed run keeps its place', async () => {
        const keys: string[] = []
        for (const [priority, ageMs] of [
          [3, 10],
          [2, 5],
          [3, 10],
          [1, 0],
          [2, 0],
        ] as const) {
          test_.clock.set(1_800_000_000_000 - ageMs)
          keys.push((await create({ priority })).key)
        }
        test_.clock.set(1_800_000_000_000)
        const first = await claim(store)
        expect(first.ticket.key).toBe(keys[3])
        const second = await claim(store)
        await store.write.releaseRun(second.proof)
        const order: string[] = []
        for (;;) {
          const next = await store.write.claimNext({ holder: HOLDER, leaseTtlMs: 1_000 })
          if (next === undefined) break
          order.push(`${next.kind} ${next.ticket.key}`)
        }
        expect(order).toEqual([`resumed ${keys[1]}`, `new ${keys[4]}`, `new ${keys[0]}`, `new ${keys[2]}`])
      })

      test('P15: new tickets of the same priority do not overtake old ones, even 12 in one instant', async () => {
        const tickets = await Promise.all(Array.from({ length: 12 }, () => create()))
        const claimed: string[] = []
        for (let i = 0; i < 12; i++) claimed.push((await claim(store)).ticket.key)
        const byNumber = tickets.toSorted((a, b) => a.number - b.number)
        expect(claimed).toEqual(byNumber.map(({ key }) => key))
      })

      test('P15: waiting is not failing: releasing a run for want of a slot counts nothing', async () => {
        await create()
        for (let i = 0; i < 5; i++) {
          const { proof, run, ticket } = await claim(store)
          expect([run.number, ticket.runCount, run.lease.epoch]).toEqual([1, 1, i + 1])
          await store.write.releaseRun(proof)
        }
        expect((await store.read.listAttempts({})).length).toBe(0)
      })

      test('a ticket that names another workflow is not offered to outside agents, but given when it is named', async () => {
        const { id } = await create({ workflow: 'linear' })
        expect(await store.write.claimTicket({ holder: 'agent', leaseTtlMs: 60_000 })).toBeUndefined()
        const named = await store.write.claimTicket({ holder: 'agent', leaseTtlMs: 60_000, ticketId: id })
        expect(named?.ticket.id).toBe(id)
      })

      test('a ticket that names the workflow external is left to outside agents', async () => {
        const { id } = await create({ workflow: 'external' })
        expect(await store.write.claimNext({ holder: HOLDER, leaseTtlMs: LEASE_TTL_MS })).toBeUndefined()
        expect((await store.read.getFigures()).oldestClaimableAgeMs).toBeNull()
        const claimed = await store.write.claimTicket({ holder: 'agent', leaseTtlMs: LEASE_TTL_MS })
        expect(claimed?.ticket.id).toBe(id)
      })

      test('a changed priority moves a queued run too', async () => {
        const [a, b] = [await create(), await create()]
        await store.write.releaseRun((await claim(store)).proof)
        await store.write.updateTicket({ ticketId: b.id, changes: { priority: 1 }, actor: 'ann' })
        expect((await claim(store)).ticket.id).toBe(b.id)
        await store.write.updateTicket({ ticketId: a.id, changes: { priority: 5 }, actor: 'ann' })
        const c = await create({ priority: 4 })
        expect((await claim(store)).ticket.id).toBe(c.id)
        expect((await claim(store)).ticket.id).toBe(a.id)
      })

      test('U9: a ticket, a run and a step are not begun before their time', async () => {
        const at = test_.clock.now() + 60_000
        const later = await create({ notBefore: at })
        expect(await store.write.claimNext({ holder: HOLDER, leaseTtlMs: 1 })).toBeUndefined()
        await expect(
          store.write.claimTicket({ holder: 'agent', leaseTtlMs: 1, ticketId: later.id }),
        ).rejects.toMatchObject({ code: 'not_claimable' })
        expect(await store.write.claimTicket({ holder: 'agent', leaseTtlMs: 1 })).toBeUndefined()
        expect(await store.read.findNextDueAt()).toBe(at)
        test_.clock.set(at - 1)
        expect(await store.write.claimNext({ holder: HOLDER, leaseTtlMs: 1 })).toBeUndefined()
        test_.clock.set(at)
        const { proof } = await claim(store)
        await store.write.releaseRun({ ...proof, notBefore: at + 10 })
        expect(await store.write.claimNext({ holder: HOLDER, leaseTtlMs: 1 })).toBeUndefined()
        test_.clock.set(at + 10)
        expect((await claim(store)).kind).toBe('resumed')
      })

      if (isDurable)
        test('U9: a retry never starts before its time, across restarts', async () => {
          const { proof } = await beginScene(store)
          const at = test_.clock.now() + 60_000
          await store.write.finishRun({
            ...proof,
            outcome: {
              status: 'failed',
              reason: 'verification_failed',
              detail: 'red',
              ticket: { kind: 'requeue', notBefore: at },
            },
          })
          await test_.reopen()
          store = test_.store
          expect(await store.write.claimNext({ holder: HOLDER, leaseTtlMs: 1 })).toBeUndefined()
          expect(await store.read.findNextDueAt()).toBe(at)
          test_.clock.set(at)
          expect((await claim(store)).ticket.reason).toBeNull()
        })
    })

    describe('claims', () => {
      test('U2: a ticket has one holder, under any number of claimers', async () => {
        const tickets = await Promise.all(Array.from({ length: 60 }, () => create()))
        const claimers = Array.from({ length: 25 }, async (_, claimer) => {
          const mine: string[] = []
          for (;;) {
            const holder = `claimer-${claimer}`
            const claimed =
              claimer % 5 === 0
                ? await store.write.claimTicket({ holder, leaseTtlMs: 60_000 })
                : await store.write.claimNext({ holder, leaseTtlMs: 60_000 })
            if (claimed === undefined) return mine
            mine.push(claimed.ticket.key)
            expect(claimed.run.lease.holder).toBe(holder)
          }
        })
        const claimed = (await Promise.all(claimers)).flat()
        expect(claimed.toSorted()).toEqual(tickets.map(({ key }) => key).toSorted())
        const { items } = await store.read.listRuns({ countMax: 500 })
        expect(items).toHaveLength(60)
        expect(new Set(items.map(({ ticketId }) => ticketId)).size).toBe(60)
      })

      test('U2: many outside agents ask for one ticket: one gets it, the others hear its status', async () => {
        const ticket = await create()
        const answers = await Promise.allSettled(
          Array.from({ length: 20 }, (_, index) =>
            store.write.claimTicket({ holder: `agent-${index}`, leaseTtlMs: 1, ticketId: ticket.id }),
          ),
        )
        expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
        for (const answer of answers) {
          if (answer.status === 'rejected') {
            expect(answer.reason).toMatchObject({ code: 'not_claimable', status: 'running' })
          }
        }
      })

      test('a claim makes the ticket running, with its run, lease and events, in one transaction', async () => {
        const ticket = await create()
        const commits: (readonly SwarmEvent[])[] = []
        store.subscribe((events) => commits.push(events))
        const { kind, run, ticket: claimed } = await claim(store)
        expect(kind).toBe('new')
        expect(run).toMatchObject({
          ticketId: ticket.id,
          number: 1,
          status: 'running',
          workflow: null,
          startedAt: test_.clock.now(),
          lease: { holder: HOLDER, expiresAt: test_.clock.now() + LEASE_TTL_MS, epoch: 1 },
        })
        expect(claimed).toMatchObject({ status: 'running', currentRunId: run.id, runCount: 1 })
        await expect
          .poll(() => commits.map((events) => events.map(({ type }) => type)), HEARD)
          .toEqual([['ticket.claimed', 'run.claimed']])
      })

      test('an outside agent claims by filters; its run has the workflow external', async () => {
        const other = await createTestProject(store)
        await create({ labels: ['a'], type: 'bug' })
        const wanted = await createTestTicket(store, other, { labels: ['a', 'b'], type: 'feature' })
        const ask = { holder: 'agent-x', leaseTtlMs: 1_000 }
        expect(await store.write.claimTicket({ ...ask, labels: ['a', 'zzz'] })).toBeUndefined()
        expect(await store.write.claimTicket({ ...ask, projectId: other.id, types: ['bug'] })).toBeUndefined()
        const claimed = await store.write.claimTicket({
          ...ask,
          projectId: other.id,
          labels: ['b', 'a'],
          types: ['x', 'feature'],
        })
        expect(claimed?.ticket.id).toBe(wanted.id)
        expect(claimed?.run.workflow).toBe('external')
      })

      test('a claim of what does not exist says so', async () => {
        await expect(
          store.write.claimTicket({ holder: 'x', leaseTtlMs: 1, ticketId: 'tkt_none' as TicketId }),
        ).rejects.toMatchObject({ code: 'not_found' })
      })
    })

    describe('leases', () => {
      test('renewal moves the deadline of what is still ours, names what is not, and writes no event', async () => {
        await create()
        await create()
        const [mine, given] = [await claim(store), await claim(store)]
        await store.write.releaseRun(given.proof)
        const { lastEventSeq } = await store.read.getFigures()
        test_.clock.advance(5_000)
        const unknown = 'run_none' as RunId
        const renewal = await store.write.renewLeases({
          holder: HOLDER,
          leaseTtlMs: LEASE_TTL_MS,
          runs: [mine.proof, given.proof, { runId: unknown, epoch: 1 }],
        })
        expect(renewal).toEqual({ lost: [given.run.id, unknown], cancelRequested: [] })
        expect((await store.read.findRun(mine.run.id))?.lease.expiresAt).toBe(
          test_.clock.now() + LEASE_TTL_MS,
        )
        expect((await store.read.getFigures()).lastEventSeq).toBe(lastEventSeq)
      })

      test('nobody but the holder, under its epoch, extends a lease', async () => {
        await create()
        const { proof } = await claim(store)
        const before = await dump(test_)
        for (const [holder, epoch] of [
          ['other', proof.epoch],
          [HOLDER, proof.epoch + 1],
          [HOLDER, proof.epoch - 1],
        ] as const) {
          const renewal = await store.write.renewLeases({
            holder,
            leaseTtlMs: 999_999,
            runs: [{ runId: proof.runId, epoch }],
          })
          expect(renewal.lost).toEqual([proof.runId])
        }
        expect(await dump(test_)).toBe(before)
      })

      test('U5: an expired lease returns the run to the queue, and the next claim has a higher epoch', async () => {
        const ticket = await create()
        const { proof } = await claim(store)
        expect(await store.read.findNextDueAt()).toBe(test_.clock.now() + LEASE_TTL_MS)
        test_.clock.advance(LEASE_TTL_MS - 1)
        expect(await store.write.expireLeases({ runCountMax: 3, retryDelayMs: 0 })).toEqual([])
        test_.clock.advance(1)
        expect(await store.write.expireLeases({ runCountMax: 3, retryDelayMs: 0 })).toEqual([proof.runId])
        expect(await find(ticket.id)).toMatchObject({ status: 'running', currentRunId: proof.runId })
        const again = await claim(store, 'coordinator-2')
        expect(again).toMatchObject({ kind: 'resumed', run: { id: proof.runId, lease: { epoch: 2 } } })
        await expect(store.write.recordProgress({ ...proof, data: {} })).rejects.toMatchObject({
          code: 'lease_lost',
        })
      })

      test('an outside agent that falls silent: its run fails, its ticket is tried again, then is dead', async () => {
        const ticket = await create()
        for (const run of [1, 2]) {
          const claimed = await store.write.claimTicket({ holder: 'agent', leaseTtlMs: 1_000 })
          if (claimed === undefined) throw new Error('nothing claimed')
          test_.clock.advance(1_000)
          await store.write.expireLeases({ runCountMax: 2, retryDelayMs: 500 })
          expect(await store.read.findRun(claimed.run.id)).toMatchObject({
            status: 'failed',
            reason: 'lease_expired',
          })
          const after = await find(ticket.id)
          if (run === 1) {
            expect(after).toMatchObject({ status: 'pending', notBefore: test_.clock.now() + 500 })
            test_.clock.advance(500)
          } else {
            expect(after).toMatchObject({ status: 'failed', reason: 'lease_expired' })
            expect(after.deadAt).toBe(test_.clock.now())
          }
        }
      })

      test('a run given back by an outside agent ends, and its ticket is pending again', async () => {
        const ticket = await create()
        const claimed = await store.write.claimTicket({ holder: 'agent', leaseTtlMs: 1_000 })
        if (claimed === undefined) throw new Error('nothing claimed')
        const at = test_.clock.now() + 10
        await store.write.releaseRun({ ...toProof(claimed), notBefore: at, detail: 'too hard' })
        expect(await find(ticket.id)).toMatchObject({ status: 'pending', notBefore: at, detail: 'too hard' })
        expect((await store.read.findRun(claimed.run.id))?.status).toBe('canceled')
      })

      test('runs of holders known to be dead are queued at once, and only theirs', async () => {
        for (let i = 0; i < 4; i++) await create()
        const dead = [await claim(store, 'dead-1'), await claim(store, 'dead-2')]
        const alive = await claim(store, 'alive')
        const outside = await store.write.claimTicket({ holder: 'dead-1', leaseTtlMs: 60_000 })
        const taken = await store.write.takeOverRuns({ holders: ['dead-1', 'dead-2', 'nobody'] })
        expect(taken.toSorted()).toEqual(dead.map(({ run }) => run.id).toSorted())
        expect((await store.read.findRun(alive.run.id))?.status).toBe('running')
        expect((await store.read.findRun(outside?.run.id as RunId))?.status).toBe('running')
        expect(await store.write.takeOverRuns({ holders: [] })).toEqual([])
      })
    })

    describe('once', () => {
      test('the same key and fingerprint again gives the kept answer and does nothing', async () => {
        const ask = async () =>
          await store.write.once({ key: 'k', fingerprint: 'f' }, async (write) => {
            const ticket = await write.createTicket({ projectId: project.id, title: 'Once', actor: 'test' })
            return { key: ticket.key }
          })
        const first = await ask()
        expect(first.isReplay).toBe(false)
        test_.clock.advance(24 * 60 * 60 * 1000)
        expect(await ask()).toEqual({ value: first.value, isReplay: true })
        expect((await store.read.listTickets({})).items).toHaveLength(1)
        await expect(
          store.write.once({ key: 'k', fingerprint: 'other' }, async () => null),
        ).rejects.toMatchObject({ code: 'idempotency_mismatch' })
      })

      test('many at once: the work is done once', async () => {
        const answers = await Promise.all(
          Array.from({ length: 10 }, () =>
            store.write.once({ key: 'k', fingerprint: 'f' }, async (write) => {
              return (await write.createTicket({ projectId: project.id, title: 'Once', actor: 'test' })).key
            }),
          ),
        )
        expect(new Set(answers.map(({ value }) => value)).size).toBe(1)
        expect(answers.filter(({ isReplay }) => !isReplay)).toHaveLength(1)
      })

      test('work that fails leaves nothing, not even the key', async () => {
        const before = await dump(test_)
        const work = store.write.once({ key: 'k', fingerprint: 'f' }, async (write) => {
          await write.createTicket({ projectId: project.id, title: 'Gone', actor: 'test' })
          throw new Error('changed my mind')
        })
        await expect(work).rejects.toThrow('changed my mind')
        expect(await dump(test_)).toBe(before)
        expect((await store.write.once({ key: 'k', fingerprint: 'f' }, async () => 1)).isReplay).toBe(false)
      })

      test('a write past the given writer is refused at once, it does not wait for itself for ever', async () => {
        const work = store.write.once({ key: 'k', fingerprint: 'f' }, async () => (await create()).key)
        await expect(work).rejects.toThrow(/through the writer that was given/)
        expect((await store.read.listTickets({})).items).toEqual([])
      })

      test('a listener may write', async () => {
        let written: Promise<Ticket> | undefined
        store.subscribe(() => {
          written ??= create({ title: 'by the listener' })
        })
        await store.write.once({ key: 'k', fingerprint: 'f' }, async (write) => {
          return (await write.createTicket({ projectId: project.id, title: 'Once', actor: 'test' })).key
        })
        const ticket = await waitFor('the listener hears', async () => written)
        expect(ticket.title).toBe('by the listener')
      })

      test('a key is forgotten after some days, not before', async () => {
        const ask = async (key: string) =>
          (await store.write.once({ key, fingerprint: 'f' }, async () => 1)).isReplay
        const dayMs = 24 * 60 * 60 * 1000
        expect([await ask('old'), await ask('old')]).toEqual([false, true])
        test_.clock.advance(dayMs)
        expect([await ask('other'), await ask('old')]).toEqual([false, true])
        test_.clock.advance(2 * dayMs)
        expect([await ask('another'), await ask('old')]).toEqual([false, false])
      })

      test('a change inside that is refused leaves no part of itself, and the others stay', async () => {
        const seen: string[] = []
        store.subscribe((events) => seen.push(...events.map(({ type }) => type)))
        await store.write.once({ key: 'k', fingerprint: 'f' }, async (write) => {
          const refused = await Promise.allSettled([
            write.createTicket({ projectId: project.id, title: 'Kept', actor: 'test' }),
            write.createTicket({
              projectId: project.id,
              title: 'Refused',
              actor: 'test',
              dependsOn: ['tkt_none' as TicketId],
            }),
          ])
          expect(refused.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
          return null
        })
        expect((await store.read.listTickets({})).items.map(({ title }) => title)).toEqual(['Kept'])
        await expect.poll(() => seen, HEARD).toEqual(['ticket.created'])
        expect((await store.read.findProject({ projectId: project.id }))?.ticketCount).toBe(1)
      })
    })

    describe('events', () => {
      test('subscribers hear each commit once, in order, without gaps, and only what was committed', async () => {
        const heard: SwarmEvent[] = []
        const stop = store.subscribe((events) => heard.push(...events))
        const afterSeq = (await store.read.getFigures()).lastEventSeq
        await Promise.allSettled([
          ...Array.from({ length: 10 }, () => create()),
          create({ dependsOn: ['tkt_none' as TicketId] }),
          claim(store),
        ])
        const written = await store.read.listEvents({ afterSeq })
        await expect.poll(() => heard, HEARD).toEqual(written)
        expect(heard.map(({ seq }) => seq)).toEqual(heard.map((_, index) => afterSeq + 1 + index))
        stop()
        await create()
        expect(heard).toHaveLength(written.length)
      })

      test('a listener that throws does not undo the write, nor keep others from hearing', async () => {
        const heard: string[] = []
        store.subscribe(() => {
          throw new Error('bad listener')
        })
        store.subscribe((events) => heard.push(...events.map(({ type }) => type)))
        const ticket = await create()
        expect((await find(ticket.id)).id).toBe(ticket.id)
        await expect.poll(() => heard, HEARD).toEqual(['ticket.created'])
      })

      test('events are filtered and paged by their position', async () => {
        const tickets = [await create(), await create(), await create()]
        const { run } = await claim(store)
        const all = await store.read.listEvents({ afterSeq: 0 })
        expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1))
        const page = await store.read.listEvents({ afterSeq: 1, countMax: 2 })
        expect(page.map(({ seq }) => seq)).toEqual([2, 3])
        expect(
          (await store.read.listEvents({ afterSeq: 0, ticketId: tickets[1]?.id as TicketId })).map(
            ({ type }) => type,
          ),
        ).toEqual(['ticket.created'])
        expect((await store.read.listEvents({ afterSeq: 0, runId: run.id })).map(({ type }) => type)).toEqual(
          ['ticket.claimed', 'run.claimed'],
        )
        expect(await store.read.listEvents({ afterSeq: 0, types: ['run.failed'] })).toEqual([])
      })

      test('recorded events stand in the sequence as they were given', async () => {
        const ticket = await create()
        await store.write.recordEvents([
          { type: 'gateway.requested', actor: 'gateway', ticketId: ticket.id, data: { host: 'example.org' } },
          { type: 'agent.milestone', actor: 'agent:x', attempt: 2, data: {} },
        ])
        const events = await store.read.listEvents({
          afterSeq: 0,
          types: ['gateway.requested', 'agent.milestone'],
        })
        expect(events).toMatchObject([
          { actor: 'gateway', ticketId: ticket.id, data: { host: 'example.org' } },
          { actor: 'agent:x', attempt: 2, ticketId: null },
        ])
      })
    })

    describe('reading', () => {
      test('tickets are paged newest first: none twice, none missed, while others are added', async () => {
        const tickets: Ticket[] = []
        for (let i = 0; i < 23; i++) {
          if (i % 3 === 0) test_.clock.advance(1)
          tickets.push(await create())
        }
        const seen: TicketId[] = []
        let cursor: string | undefined
        do {
          const page = await store.read.listTickets({
            countMax: 5,
            ...(cursor === undefined ? {} : { cursor }),
          })
          seen.push(...page.items.map(({ id }) => id))
          cursor = page.nextCursor ?? undefined
          test_.clock.advance(1)
          await create()
        } while (cursor !== undefined)
        expect(new Set(seen).size).toBe(seen.length)
        expect(seen.toSorted()).toEqual(tickets.map(({ id }) => id).toSorted())
        const ages = seen.map((id) => tickets.find((ticket) => ticket.id === id)?.createdAt ?? 0)
        expect(ages).toEqual(ages.toSorted((a, b) => b - a))
      })

      test('a cursor that was not given out is refused', async () => {
        for (const cursor of ['', 'x', 'bm9wZQ', Buffer.from('{"a":1}').toString('base64url')]) {
          await expect(store.read.listTickets({ cursor }), cursor).rejects.toMatchObject({
            code: 'invalid_cursor',
          })
        }
      })

      test('tickets are found by project, status, type, label and words', async () => {
        const other = await createTestProject(store)
        const bug = await create({
          title: 'Login FAILS',
          body: 'on Tuesdays',
          type: 'bug',
          labels: ['ui', 'p1'],
        })
        const task = await create({ title: '100% done_ly', type: 'task', labels: ['ui'], isDraft: true })
        const far = await createTestTicket(store, other, { title: 'Login works' })
        const ids = async (filter: Parameters<Store['read']['listTickets']>[0]) =>
          (await store.read.listTickets(filter)).items.map(({ id }) => id).toSorted()
        const sorted = (...tickets: Ticket[]) => tickets.map(({ id }) => id).toSorted()
        expect(await ids({ projectId: other.id })).toEqual(sorted(far))
        expect(await ids({ statuses: ['draft', 'done'] })).toEqual(sorted(task))
        expect(await ids({ types: ['bug', 'x'] })).toEqual(sorted(bug))
        expect(await ids({ labels: ['ui'] })).toEqual(sorted(bug, task))
        expect(await ids({ labels: ['ui', 'p1'] })).toEqual(sorted(bug))
        expect(await ids({ text: 'login' })).toEqual(sorted(bug, far))
        expect(await ids({ text: 'login tuesday' })).toEqual(sorted(bug))
        expect(await ids({ text: '100%' })).toEqual(sorted(task))
        expect(await ids({ text: "' or 1=1 --" })).toEqual([])
        expect(await ids({ statuses: [] })).toEqual([])
      })

      test('what a resolved write did is visible to every read', async () => {
        for (let i = 1; i <= 30; i++) {
          const ticket = await create()
          const [found, listed, figures, events] = await Promise.all([
            store.read.findTicket({ ticketId: ticket.id }),
            store.read.listTickets({ countMax: 500 }),
            store.read.getFigures(),
            store.read.listEvents({ afterSeq: 0, ticketId: ticket.id }),
          ])
          expect(found).toEqual(ticket)
          expect(listed.items).toHaveLength(i)
          expect(figures.ticketCounts.pending).toBe(i)
          expect(events).toHaveLength(1)
        }
      })

      test('U1: the age of the oldest claimable work is a figure, by when it became claimable', async () => {
        expect((await store.read.getFigures()).oldestClaimableAgeMs).toBeNull()
        const start = test_.clock.now()
        await create({ notBefore: start + 1_000 })
        expect((await store.read.getFigures()).oldestClaimableAgeMs).toBeNull()
        test_.clock.set(start + 5_000)
        expect((await store.read.getFigures()).oldestClaimableAgeMs).toBe(4_000)
        const { proof } = await claim(store)
        expect((await store.read.getFigures()).oldestClaimableAgeMs).toBeNull()
        await store.write.releaseRun(proof)
        test_.clock.advance(70)
        expect((await store.read.getFigures()).oldestClaimableAgeMs).toBe(70)
      })

      test('figures count each status and the outbox', async () => {
        const ticket = await create()
        await create({ isDraft: true })
        for (const key of ['a', 'b']) {
          await store.write.enqueueEffect({
            key,
            kind: 'http_request',
            payload: {},
            ticketId: ticket.id,
            actor: 'test',
          })
        }
        const [effect] = await store.write.claimEffects({ countMax: 1 })
        if (effect === undefined) throw new Error('no effect')
        await store.write.failEffect({ effectId: effect.id, reason: 'network_failed', detail: 'no' })
        expect(await store.read.getFigures()).toMatchObject({
          ticketCounts: { pending: 1, draft: 1, done: 0 },
          runCounts: { running: 0 },
          deadEffectCount: 1,
          pendingEffectCount: 1,
        })
      })
    })

    describe('closing', () => {
      test('closing waits for writes in flight; afterwards every call is refused; twice is nothing', async () => {
        const writes = Promise.allSettled(Array.from({ length: 10 }, () => create()))
        await store.close()
        await store.close()
        const settled = await writes
        expect(settled.filter(({ status }) => status === 'fulfilled').length).toBe(10)
        await expect(create()).rejects.toMatchObject({ code: 'unavailable' })
        await expect(store.read.listProjects()).rejects.toMatchObject({ code: 'unavailable' })
        await expect(store.read.listTickets({})).rejects.toMatchObject({ code: 'unavailable' })
      })

      if (isDurable)
        test('what was written is there after a reopen', async () => {
          const { proof } = await beginScene(store)
          await openApproval(store, proof)
          await store.write.parkRun(proof)
          const before = await dump(test_)
          await test_.reopen()
          expect(await dump(test_)).toBe(before)
        })
    })
  })
}
