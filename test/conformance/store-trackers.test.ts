/** Tickets mirrored from a tracker: what every store promises. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { TicketId } from '../../src/domain/id.ts'
import type { Project } from '../../src/domain/project.ts'
import type { LeaseProof } from '../../src/domain/run.ts'
import type { Ticket } from '../../src/domain/ticket.ts'
import type { MirroredTicket, MirrorResult, Store } from '../../src/store/contract.ts'
import { LeaseLostError, VersionConflictError } from '../../src/store/errors.ts'
import {
  claim,
  createTestProject,
  createTestTicket,
  dump,
  openApproval,
  PINS,
  registerTestWorkflow,
  STORES,
  type TestStore,
} from '../support/store.ts'

const TRACKER = 'legacy'

function there(externalId: string, changes: Partial<MirroredTicket> = {}): MirroredTicket {
  return {
    externalId,
    word: 'pending',
    title: `Ticket ${externalId}`,
    body: '',
    type: 'bug',
    labels: ['legacy'],
    priority: 3,
    workflow: null,
    agent: null,
    inputs: {},
    createdAt: null,
    ...changes,
  }
}

for (const { name, open } of STORES) {
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

    const mirror = async (...tickets: readonly MirroredTicket[]): Promise<readonly MirrorResult[]> => {
      test_.clock.advance(1)
      return await store.write.mirrorTickets({
        tracker: TRACKER,
        projectId: project.id,
        tickets,
        readAt: store.now(),
        actor: `tracker:${TRACKER}`,
      })
    }
    const mirrorOne = async (externalId = '7', changes: Partial<MirroredTicket> = {}): Promise<Ticket> => {
      const [result] = await mirror(there(externalId, changes))
      return await find(result?.ticketId)
    }
    const find = async (ticketId: TicketId | undefined): Promise<Ticket> => {
      const ticket = ticketId && (await store.read.findTicket({ ticketId }))
      if (!ticket) throw new Error(`no ticket ${ticketId}`)
      return ticket
    }
    const findRef = async (externalId = '7') =>
      await store.read.findExternalRef({ tracker: TRACKER, externalId })
    const take = async (word = 'in_progress'): Promise<LeaseProof> => {
      test_.clock.advance(1)
      const { proof } = await claim(store)
      await store.write.recordTake({ ...proof, word })
      return proof
    }
    const fail = async (proof: LeaseProof) =>
      await store.write.finishRun({
        ...proof,
        outcome: {
          status: 'failed',
          reason: 'agent_failed',
          detail: 'it broke',
          ticket: { kind: 'fail' },
        },
      })
    const succeed = async (proof: LeaseProof) =>
      await store.write.finishRun({ ...proof, outcome: { status: 'succeeded', outputs: {}, ticket: 'done' } })
    const listWriteBacks = async (ticketId: TicketId) =>
      (await store.read.listEffects({ ticketId })).filter(({ kind }) => kind === 'write_back_ticket')

    describe('mirroring', () => {
      test('makes a pending ticket of what is unknown, that knows where it is from', async () => {
        const [result] = await mirror(
          there('7', { title: 'Fix it', body: 'now', priority: 1, labels: ['a', 'b'], inputs: { n: 1 } }),
        )
        expect(result?.kind).toBe('created')
        expect(await find(result?.ticketId)).toMatchObject({
          projectId: project.id,
          key: `${project.key}-1`,
          status: 'pending',
          title: 'Fix it',
          body: 'now',
          type: 'bug',
          labels: ['a', 'b'],
          priority: 1,
          inputs: { n: 1 },
          tracker: TRACKER,
          externalId: '7',
          createdBy: 'tracker:legacy',
        })
        expect(await findRef()).toEqual({
          tracker: TRACKER,
          externalId: '7',
          ticketId: result?.ticketId,
          word: 'pending',
          standing: 'open',
        })
        expect(await store.read.findExternalRef({ ticketId: result?.ticketId as TicketId })).toEqual(
          await findRef(),
        )
      })

      test('leaves our own tickets of no tracker', async () => {
        const own = await createTestTicket(store, project)
        expect(own).toMatchObject({ tracker: null, externalId: null })
        expect(await store.read.findExternalRef({ ticketId: own.id })).toBeUndefined()
      })

      test('keeps the age that a ticket has there, so that the oldest of a priority is claimed first', async () => {
        const now = store.now()
        await mirror(
          there('young', { createdAt: now - 1_000 }),
          there('old', { createdAt: now - 100_000 }),
          there('future', { createdAt: now + 1_000_000 }),
        )
        const order = []
        for (let i = 0; i < 3; i++) order.push((await claim(store)).ticket.externalId)
        expect(order).toEqual(['old', 'young', 'future'])
      })

      test('twice changes nothing', async () => {
        await mirror(there('7'), there('8'))
        const before = await dump(test_)
        const again = await mirror(there('7'), there('8'))
        expect(again.map(({ kind }) => kind)).toEqual(['unchanged', 'unchanged'])
        expect(await dump(test_)).toBe(before)
      })

      test('U2: two at once make one ticket', async () => {
        const results = await Promise.all([mirror(there('7')), mirror(there('7')), mirror(there('7'))])
        expect(new Set(results.flat().map(({ ticketId }) => ticketId)).size).toBe(1)
        expect((await store.read.listTickets({})).items).toHaveLength(1)
      })

      test('the same name in two trackers is two tickets', async () => {
        const first = await mirrorOne()
        const [other] = await store.write.mirrorTickets({
          tracker: 'other',
          projectId: project.id,
          tickets: [there('7')],
          readAt: store.now(),
          actor: 'tracker:other',
        })
        expect(other?.kind).toBe('created')
        expect(other?.ticketId).not.toBe(first.id)
      })

      test('takes over what changed there, and keeps what people changed here meanwhile', async () => {
        const ticket = await mirrorOne()
        await store.write.updateTicket({ ticketId: ticket.id, changes: { priority: 1 }, actor: 'me' })
        await mirror(there('7'))
        expect((await find(ticket.id)).priority).toBe(1)

        const [result] = await mirror(there('7', { title: 'Other', labels: ['new'], priority: 5 }))
        expect(result?.kind).toBe('updated')
        expect(await find(ticket.id)).toMatchObject({ title: 'Other', labels: ['new'], priority: 5 })
        expect((await store.read.listTickets({ labels: ['legacy'] })).items).toEqual([])
      })

      test('leaves a ticket alone while it is worked on', async () => {
        const ticket = await mirrorOne()
        await take()
        const [result] = await mirror(there('7', { title: 'Other' }))
        expect(result?.kind).toBe('held')
        expect(await find(ticket.id)).toMatchObject({ title: 'Ticket 7', status: 'running' })
        expect(await findRef()).toMatchObject({ standing: 'ours' })
      })

      test('a failed ticket that was put back there is queued anew, with what it says now', async () => {
        const ticket = await mirrorOne()
        await fail(await take())
        const [result] = await mirror(there('7', { title: 'Once more' }))
        expect(result).toMatchObject({ kind: 'requeued', ticketId: ticket.id, key: ticket.key })
        expect(await find(ticket.id)).toMatchObject({
          status: 'pending',
          title: 'Once more',
          runCount: 0,
          outputs: null,
          finishedAt: null,
        })
        expect(await findRef()).toMatchObject({ standing: 'open', word: 'pending' })
        expect((await claim(store)).ticket.id).toBe(ticket.id)
      })

      test('what was read before it was taken puts nothing back', async () => {
        const ticket = await mirrorOne()
        const readAt = store.now()
        await fail(await take())
        const [result] = await store.write.mirrorTickets({
          tracker: TRACKER,
          projectId: project.id,
          tickets: [there('7')],
          readAt,
          actor: 'tracker:legacy',
        })
        expect(result?.kind).toBe('held')
        expect((await find(ticket.id)).status).toBe('failed')
      })

      test('a ticket that was canceled here before anybody began stays canceled', async () => {
        const ticket = await mirrorOne()
        await store.write.cancelTicket({ ticketId: ticket.id, actor: 'me' })
        const [result] = await mirror(there('7'))
        expect(result?.kind).toBe('unchanged')
        expect((await find(ticket.id)).status).toBe('canceled')
      })

      test('a done ticket that was put back there is said, not begun anew', async () => {
        const ticket = await mirrorOne()
        await succeed(await take())
        const [result] = await mirror(there('7'))
        expect(result).toMatchObject({ kind: 'done_here', key: ticket.key })
        expect((await find(ticket.id)).status).toBe('done')
      })

      test('a ticket that others took there comes back when they put it back', async () => {
        const ticket = await mirrorOne()
        await store.write.cancelTicket({
          ticketId: ticket.id,
          actor: 'tracker:legacy',
          reason: 'taken_elsewhere',
          seenWord: 'in_progress',
          detail: 'by bob',
        })
        expect(await findRef()).toMatchObject({ standing: 'elsewhere', word: 'in_progress' })
        const [result] = await mirror(there('7'))
        expect(result?.kind).toBe('requeued')
        expect((await find(ticket.id)).status).toBe('pending')
      })
    })

    describe('taking', () => {
      test('is recorded with its word, once', async () => {
        const ticket = await mirrorOne()
        const proof = await take()
        expect(await findRef()).toMatchObject({ standing: 'ours', word: 'in_progress' })
        const before = await dump(test_)
        await store.write.recordTake({ ...proof, word: 'in_progress' })
        expect(await dump(test_)).toBe(before)
        const events = await store.read.listEvents({ afterSeq: 0, ticketId: ticket.id })
        expect(events.filter(({ type }) => type === 'ticket.taken')).toMatchObject([
          { runId: proof.runId, data: { tracker: TRACKER, externalId: '7', word: 'in_progress' } },
        ])
      })

      test('U3: a stale epoch records nothing', async () => {
        await mirrorOne()
        const { proof } = await claim(store)
        const before = await dump(test_)
        const stale = { ...proof, epoch: proof.epoch - 1, word: 'in_progress' }
        await expect(store.write.recordTake(stale)).rejects.toThrow(LeaseLostError)
        expect(await dump(test_)).toBe(before)
      })

      test('a lost comparison ends the ticket, tells why, and writes nothing back', async () => {
        const ticket = await mirrorOne()
        const { proof } = await claim(store)
        await store.write.finishRun({
          ...proof,
          outcome: {
            status: 'canceled',
            reason: 'taken_elsewhere',
            detail: 'it is "in_progress" there',
            seenWord: 'in_progress',
          },
        })
        expect(await find(ticket.id)).toMatchObject({ status: 'canceled', reason: 'taken_elsewhere' })
        expect(await findRef()).toMatchObject({ standing: 'elsewhere', word: 'in_progress' })
        expect(await listWriteBacks(ticket.id)).toEqual([])
      })

      test('a run that waits for its tracker says so on the ticket, until it was taken', async () => {
        const ticket = await mirrorOne()
        const { proof } = await claim(store)
        const notBefore = store.now() + 5_000
        const why = { reason: 'tracker_failed', detail: 'the file is locked' } as const
        await store.write.releaseRun({ ...proof, ...why, notBefore })
        expect(await find(ticket.id)).toMatchObject({ status: 'running', ...why })
        expect(await store.write.claimNext({ holder: 'a', leaseTtlMs: 1_000 })).toBeUndefined()
        test_.clock.advance(5_000)
        await take()
        expect(await find(ticket.id)).toMatchObject({ status: 'running', reason: null, detail: null })
      })
    })

    describe('writing back', () => {
      test('every end and every wait of a mirrored ticket is in the outbox, in the transaction that moved it', async () => {
        const ticket = await mirrorOne()
        const proof = await take()
        expect(await listWriteBacks(ticket.id)).toEqual([])
        const workflow = await registerTestWorkflow(store)
        await store.write.translateRun({
          ...proof,
          workflowId: workflow.id,
          workflow: 'linear@1',
          inputs: {},
          pins: PINS,
        })
        await openApproval(store, proof)
        await store.write.parkRun(proof)
        const [waiting] = await store.write.claimEffects({ countMax: 10 })
        expect(waiting).toMatchObject({ kind: 'write_back_ticket', payload: { ticketId: ticket.id } })
        await store.write.cancelTicket({ ticketId: ticket.id, actor: 'me' })
        expect((await listWriteBacks(ticket.id)).map(({ status }) => status)).toEqual(['sending', 'pending'])
      })

      test('one that is not begun serves later moves', async () => {
        const ticket = await mirrorOne()
        await fail(await take())
        await store.write.retryTicket({ ticketId: ticket.id, actor: 'me' })
        await fail(await take())
        expect(await listWriteBacks(ticket.id)).toHaveLength(1)
      })

      test('our own tickets have nobody to be told to', async () => {
        const ticket = await createTestTicket(store, project)
        await fail((await claim(store)).proof)
        expect(await store.read.listEffects({ ticketId: ticket.id })).toEqual([])
      })

      test('what was told there is known here', async () => {
        const ticket = await mirrorOne()
        await succeed(await take())
        const [effect] = await store.write.claimEffects({ countMax: 10 })
        if (effect === undefined) throw new Error('nothing to send')
        await store.write.completeEffect({
          effectId: effect.id,
          outcome: {
            kind: 'written_back',
            ticketId: ticket.id,
            word: 'completed',
            standing: 'ours',
            status: 'done',
            result: { kind: 'written' },
          },
        })
        expect(await findRef()).toMatchObject({ word: 'completed', standing: 'ours' })
        expect((await store.read.findEffect({ effectId: effect.id }))?.status).toBe('done')
      })

      test('a ticket that went on while its wait was told is told once more', async () => {
        const ticket = await mirrorOne()
        const proof = await take()
        await openApproval(store, proof)
        await store.write.parkRun(proof)
        const [effect] = await store.write.claimEffects({ countMax: 10 })
        const [wait] = await store.read.listOpenWaits({ runId: proof.runId })
        if (effect === undefined || wait === undefined) throw new Error('nothing waits')
        await store.write.resolveWait({
          waitId: wait.id,
          actor: 'me',
          resolution: { kind: 'succeeded', outputs: {} },
        })
        await take()
        await store.write.completeEffect({
          effectId: effect.id,
          outcome: {
            kind: 'written_back',
            ticketId: ticket.id,
            word: 'paused',
            standing: 'ours',
            status: 'waiting',
            result: {},
          },
        })
        expect((await listWriteBacks(ticket.id)).map(({ status }) => status)).toEqual(['done', 'pending'])
      })

      test('a tracker that cannot be reached holds up no other effect of the ticket', async () => {
        const ticket = await mirrorOne()
        await fail(await take())
        await store.write.enqueueEffect({
          key: 'publish',
          kind: 'publish_pull_request',
          payload: {},
          ticketId: ticket.id,
          actor: 'test',
        })
        const kinds = (await store.write.claimEffects({ countMax: 10 })).map(({ kind }) => kind)
        expect(kinds).toEqual(['write_back_ticket', 'publish_pull_request'])
      })

      test('P1: one that was given up is counted until it got through, and can be sent anew', async () => {
        const ticket = await mirrorOne()
        await succeed(await take())
        const [effect] = await store.write.claimEffects({ countMax: 10 })
        if (effect === undefined) throw new Error('nothing to send')
        await store.write.failEffect({ effectId: effect.id, reason: 'tracker_refused', detail: 'a trigger' })
        expect((await store.read.getFigures()).deadEffectCount).toBe(1)

        expect(await store.write.reviveWriteBacks({ tracker: 'other' })).toBe(0)
        expect(await store.write.reviveWriteBacks({ tracker: TRACKER })).toBe(1)
        expect((await store.read.getFigures()).deadEffectCount).toBe(0)
        expect(await listWriteBacks(ticket.id)).toMatchObject([{ status: 'pending', attemptCount: 0 }])
      })
    })

    describe('comparing', () => {
      test('lists what is not ended, page by page, in the order of the names there', async () => {
        const tickets = Array.from({ length: 501 }, (_, i) => there(String(i).padStart(4, '0')))
        await mirror(...tickets)
        const ended = await store.read.findExternalRef({ tracker: TRACKER, externalId: '0003' })
        await store.write.cancelTicket({ ticketId: ended?.ticketId as TicketId, actor: 'me' })

        const first = await store.read.listExternalRefs({ tracker: TRACKER })
        expect(first.items).toHaveLength(500)
        expect(first.nextCursor).toBeNull()
        await mirror(there('0501'), there('0502'))
        const page = await store.read.listExternalRefs({ tracker: TRACKER })
        const rest = await store.read.listExternalRefs({ tracker: TRACKER, cursor: page.nextCursor ?? '' })
        expect([...page.items, ...rest.items].map(({ externalId }) => externalId)).toEqual(
          [...tickets.map(({ externalId }) => externalId), '0501', '0502'].filter((id) => id !== '0003'),
        )
        expect(rest.nextCursor).toBeNull()
        expect(await store.read.listExternalRefs({ tracker: 'other' })).toEqual({
          items: [],
          nextCursor: null,
        })
        expect(page.items[0]).toMatchObject({
          tracker: TRACKER,
          externalId: '0000',
          ticketKey: `${project.key}-1`,
          ticketStatus: 'pending',
          ticketVersion: 1,
          word: 'pending',
          standing: 'open',
        })
      })

      test('a ticket that moved on since it was compared is not canceled', async () => {
        const ticket = await mirrorOne()
        const { proof } = await claim(store)
        const input = {
          ticketId: ticket.id,
          actor: 'tracker:legacy',
          reason: 'taken_elsewhere',
          seenWord: 'in_progress',
          expectedVersion: ticket.version,
        } as const
        await expect(store.write.cancelTicket(input)).rejects.toThrow(VersionConflictError)
        await store.write.recordTake({ ...proof, word: 'in_progress' })
        expect(await findRef()).toMatchObject({ standing: 'ours' })
      })

      test('a ticket that is gone ends with that reason, also when a coordinator had to end its run first', async () => {
        const ticket = await mirrorOne()
        const proof = await take()
        await store.write.cancelTicket({
          ticketId: ticket.id,
          actor: 'tracker:legacy',
          reason: 'gone_from_tracker',
          detail: 'it is not in legacy any more',
        })
        expect((await find(ticket.id)).status).toBe('running')
        await store.write.finishRun({
          ...proof,
          outcome: { status: 'canceled', reason: 'canceled_by_person', detail: 'canceled' },
        })
        expect(await find(ticket.id)).toMatchObject({
          status: 'canceled',
          reason: 'gone_from_tracker',
          detail: 'it is not in legacy any more',
        })
        expect(await listWriteBacks(ticket.id)).toEqual([])
        expect(await findRef()).toMatchObject({ standing: 'elsewhere' })
      })
    })
  })
}
