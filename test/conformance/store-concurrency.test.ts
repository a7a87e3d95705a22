/** What holds when several processes write to one store at the same moment. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SwarmEvent } from '../../src/domain/event.ts'
import type { TicketId } from '../../src/domain/id.ts'
import type { Project } from '../../src/domain/project.ts'
import type { LeaseProof } from '../../src/domain/run.ts'
import { isTerminal } from '../../src/domain/status.ts'
import type { Store } from '../../src/store/contract.ts'
import { whyNoPostgres } from '../support/postgres-server.ts'
import {
  beginAttempt,
  beginScene,
  claim,
  createInstances,
  createTestProject,
  createTestTicket,
  LEASE_TTL_MS,
  openApproval,
  STORES,
  type TestStore,
  toProof,
} from '../support/store.ts'

/** A shared store tells its subscribers soon, not at once */
const HEARD = { timeout: 10_000 }

const ROUND_COUNT = 15
const YES = { kind: 'succeeded', outputs: { approved: true } } as const

const CONCURRENT = STORES.filter(({ isConcurrent }) => isConcurrent)
if (CONCURRENT.length === 0) {
  test('several processes on one store', (context) => context.skip(whyNoPostgres))
}

for (const { name, open } of CONCURRENT) {
  describe(`several processes on one ${name}`, () => {
    let test_: TestStore
    let stores: readonly Store[]
    let a: Store
    let b: Store
    let project: Project

    beforeEach(async () => {
      test_ = await open()
      a = test_.store
      b = await test_.openAnother()
      stores = [a, b]
      project = await createTestProject(a)
    })
    afterEach(async () => await test_[Symbol.asyncDispose]())

    const create = (input: Parameters<typeof createTestTicket>[2] = {}) => createTestTicket(a, project, input)
    const statusOf = async (ticketId: Project['id'] | string) =>
      (await a.read.findTicket({ ticketId: ticketId as never }))?.status
    const finish = (store: Store, claimed: { readonly proof: LeaseProof }) =>
      store.write.finishRun({
        ...claimed.proof,
        outcome: { status: 'succeeded', outputs: {}, ticket: 'done' },
      })

    test('P4: every ticket is claimed once, by whichever process, and none is left', async () => {
      await Promise.all(Array.from({ length: 60 }, () => create()))
      const claimed: string[] = []
      const work = async (store: Store, holder: string) => {
        for (;;) {
          const next = await store.write.claimNext({ holder, leaseTtlMs: LEASE_TTL_MS })
          if (next === undefined) return
          claimed.push(next.ticket.id)
        }
      }
      await Promise.all(Array.from({ length: 16 }, (_, index) => work(index % 2 ? a : b, `c${index}`)))
      // One that somebody held for a moment may have been passed over.
      await work(a, 'last')
      expect(new Set(claimed).size).toBe(60)
      expect(claimed).toHaveLength(60)
    })

    test('P15: of a begun run and a new ticket each of two claimers gets one', async () => {
      for (let round = 0; round < ROUND_COUNT; round++) {
        await create({ priority: 2 })
        const first = await claim(a)
        await a.write.releaseRun(first.proof)
        await create({ priority: 1 + (round % 3) })
        const claims = await Promise.all(
          stores.map((store, index) =>
            store.write.claimNext({ holder: `c${index}`, leaseTtlMs: LEASE_TTL_MS }),
          ),
        )
        expect(claims.map((one) => one?.kind).toSorted()).toEqual(['new', 'resumed'])
      }
    })

    test('a ticket whose last two dependencies end at the same moment is unblocked', async () => {
      for (let round = 0; round < ROUND_COUNT; round++) {
        const dependsOn = [(await create()).id, (await create()).id]
        const waiting = await create({ dependsOn })
        const claims = [await claim(a), await claim(b)] as const
        await Promise.all([finish(a, claims[0]), finish(b, claims[1])])
        expect(await statusOf(waiting.id)).toBe('pending')
        expect((await claim(a)).ticket.id).toBe(waiting.id)
      }
    })

    test('a ticket that begins to wait for one that ends at the same moment does not wait for ever', async () => {
      for (let round = 0; round < ROUND_COUNT; round++) {
        const first = await create()
        const claimed = await claim(a)
        const draft = await create({ isDraft: true })
        const [, created, opened] = await Promise.all([
          finish(a, claimed),
          createTestTicket(b, project, { dependsOn: [first.id] }),
          b.write.updateTicket({
            ticketId: draft.id,
            changes: { dependsOn: [first.id], status: 'pending' },
            actor: 'test',
          }),
        ])
        expect([await statusOf(created.id), await statusOf(opened.id)]).toEqual(['pending', 'pending'])
        await a.write.cancelTicket({ ticketId: created.id, actor: 'test' })
        await a.write.cancelTicket({ ticketId: opened.id, actor: 'test' })
      }
    })

    test('a ticket that is retried while its dependency ends is not left blocked', async () => {
      for (let round = 0; round < ROUND_COUNT; round++) {
        const first = await create()
        const waiting = await create({ dependsOn: [first.id] })
        await a.write.cancelTicket({ ticketId: waiting.id, actor: 'test' })
        const claimed = await claim(a)
        await Promise.all([finish(a, claimed), b.write.retryTicket({ ticketId: waiting.id, actor: 'test' })])
        expect(await statusOf(waiting.id)).toBe('pending')
        await a.write.cancelTicket({ ticketId: waiting.id, actor: 'test' })
      }
    })

    test('two halves of a circle of dependencies, added at once: one is refused', async () => {
      for (let round = 0; round < ROUND_COUNT; round++) {
        const [one, two] = [await create({ isDraft: true }), await create({ isDraft: true })]
        const link = (store: Store, from: typeof one, to: typeof one) =>
          store.write.updateTicket({ ticketId: from.id, changes: { dependsOn: [to.id] }, actor: 'test' })
        const halves = await Promise.allSettled([link(a, one, two), link(b, two, one)])
        const refused = halves.filter((half) => half.status === 'rejected')
        expect(refused.map(({ reason }) => reason.code)).toEqual(['dependency_cycle'])
      }
    })

    test('U2: a cancelation and the end of the run at the same moment: both are answered, one state results', async () => {
      for (let round = 0; round < ROUND_COUNT; round++) {
        const { ticket, proof } = await beginScene(a)
        const results = await Promise.allSettled([
          a.write.finishRun({
            ...proof,
            outcome: { status: 'succeeded', outputs: {}, ticket: 'done' },
          }),
          b.write.cancelTicket({ ticketId: ticket.id, actor: 'ann' }),
        ])
        expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
        expect(await statusOf(ticket.id)).toBe('done')
      }
    })

    test('P5: an answer, a deadline and the end of its run meet: the wait ends once', async () => {
      for (let round = 0; round < ROUND_COUNT; round++) {
        const { ticket, runId, proof } = await beginScene(a)
        const { waitId } = await openApproval(a, proof)
        const results = await Promise.allSettled([
          a.write.resolveWait({ waitId, actor: 'ann', resolution: YES }),
          b.write.resolveWait({ waitId, actor: 'bob', resolution: YES }),
          a.write.parkRun(proof),
          b.write.cancelTicket({ ticketId: ticket.id, actor: 'ann' }),
        ])
        const codes = results.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []))
        for (const code of codes) expect(['conflict', 'lease_lost']).toContain(code)
        const events = await a.read.listEvents({ afterSeq: 0, runId, countMax: 500 })
        const ends = events.filter(({ type }) => type === 'step.succeeded' || type === 'step.canceled')
        expect(ends.length).toBeLessThanOrEqual(1)
        expect((await a.read.listOpenWaits({ runId })).length + ends.length).toBe(1)
        // What was asked to end and then parked or answered is claimable; its holder ends it.
        for (const left of [proof, { ...proof, epoch: proof.epoch + 1 }]) {
          await a.write.claimNext({ holder: proof.holder, leaseTtlMs: LEASE_TTL_MS })
          const outcome = { status: 'canceled', reason: 'canceled_by_person', detail: 'asked' } as const
          await a.write.finishRun({ ...left, outcome }).catch(() => undefined)
        }
      }
    })

    test('U3: two claims of one run: the epochs differ and one holder is left', async () => {
      for (let round = 0; round < ROUND_COUNT; round++) {
        const { runId, proof } = await beginScene(a)
        await a.write.releaseRun(proof)
        const claims = await Promise.all(
          [a, b, a, b].map((store, index) =>
            store.write.claimNext({ holder: `c${index}`, leaseTtlMs: LEASE_TTL_MS }),
          ),
        )
        const won = claims.flatMap((one) => (one === undefined ? [] : [one]))
        expect(won).toHaveLength(1)
        expect(won[0]?.run).toMatchObject({ id: runId, lease: { epoch: proof.epoch + 1 } })
        if (won[0] !== undefined) await finish(a, { ...won[0], proof: toProof(won[0]) })
      }
    })

    test('U3: nothing is added to a run that ends at the same moment', async () => {
      for (let round = 0; round < ROUND_COUNT; round++) {
        const { runId, proof } = await beginScene(a)
        await openApproval(a, proof, 'first')
        const results = await Promise.allSettled([
          createInstances(b, proof, 'late-1'),
          openApproval(b, proof, 'late-2'),
          finish(a, { proof }),
          beginAttempt(b, proof, 'late-3'),
          createInstances(a, proof, 'late-4'),
        ])
        for (const one of results) {
          if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'lease_lost' })
        }
        const steps = await a.read.listStepInstances(runId)
        expect(steps.filter(({ status }) => !isTerminal('step', status))).toEqual([])
        expect(await a.read.listOpenWaits({ runId })).toEqual([])
      }
    })

    test('U2: leases that two processes expire at once are expired once', async () => {
      await Promise.all(Array.from({ length: 10 }, () => create()))
      for (let index = 0; index < 10; index++) await claim(a)
      test_.clock.advance(LEASE_TTL_MS + 1)
      const expired = await Promise.all(
        [a, b, a, b].map((store) => store.write.expireLeases({ runCountMax: 3, retryDelayMs: 0 })),
      )
      expect(new Set(expired.flat()).size).toBe(expired.flat().length)
      const left = await a.write.expireLeases({ runCountMax: 3, retryDelayMs: 0 })
      expect(expired.flat().length + left.length).toBe(10)
    })

    test('P14: each effect is claimed by one process, those of a ticket one after the other', async () => {
      const tickets = await Promise.all(Array.from({ length: 5 }, () => create()))
      for (let index = 0; index < 3; index++) {
        for (const { id: ticketId } of tickets) {
          const key = `${ticketId}-${index}`
          await a.write.enqueueEffect({ key, kind: 'http_request', payload: {}, ticketId, actor: 'test' })
        }
      }
      const sent: string[] = []
      const send = async (store: Store) => {
        for (;;) {
          const claimed = await store.write.claimEffects({ countMax: 2 })
          if (claimed.length === 0) return
          for (const effect of claimed) {
            sent.push(effect.key)
            await store.write.completeEffect({ effectId: effect.id, outcome: { kind: 'plain', result: {} } })
          }
        }
      }
      await Promise.all([send(a), send(b), send(a), send(b)])
      await send(a)
      expect(sent).toHaveLength(15)
      for (const { id } of tickets) {
        const ofTicket = sent.filter((key) => key.startsWith(id))
        expect(ofTicket).toEqual([0, 1, 2].map((index) => `${id}-${index}`))
      }
    })

    test('P1: what happens to a mirrored ticket while another process begins to tell its tracker is told too', async () => {
      const [mirrored] = await a.write.mirrorTickets({
        tracker: 'legacy',
        projectId: project.id,
        actor: 'tracker:legacy',
        readAt: test_.clock.now(),
        tickets: [
          {
            externalId: '7',
            title: 'Seven',
            word: 'open',
            body: '',
            type: '',
            labels: [],
            priority: 3,
            workflow: null,
            agent: null,
            inputs: {},
            createdAt: null,
          },
        ],
      })
      const ticketId = mirrored?.ticketId as TicketId
      const { proof } = await claim(a)
      await openApproval(a, proof)
      await a.write.parkRun(proof)
      const listStatuses = async () =>
        (await a.read.listEffects({ ticketId })).map(({ kind, status }) => `${kind} ${status}`)
      expect(await listStatuses()).toEqual(['write_back_ticket pending'])
      let canceled: Promise<unknown> | undefined
      await test_.whileUncommitted("update effects set status = 'sending'", async () => {
        canceled = b.write.cancelTicket({ ticketId, actor: 'ann' })
        await test_.waitUntilBlocked()
      })
      await canceled
      expect(await listStatuses()).toEqual(['write_back_ticket sending', 'write_back_ticket pending'])
    })

    test('the same key, the same registration and the same pull request at once are one', async () => {
      const register = (store: Store) =>
        store.write.registerWorkflow({
          name: 'w',
          version: '1',
          text: 't',
          digest: 'd',
          source: 'shipped',
          actor: 'test',
        })
      const workflows = await Promise.all([a, b, a, b].map(register))
      expect(new Set(workflows.map(({ id }) => id)).size).toBe(1)
      const answers = await Promise.all(
        [a, b, a, b].map((store) =>
          store.write.once({ key: 'k', fingerprint: 'f' }, async (write) => {
            return (await write.createTicket({ projectId: project.id, title: 'Once', actor: 'test' })).key
          }),
        ),
      )
      expect(new Set(answers.map(({ value }) => value)).size).toBe(1)
      expect(answers.filter(({ isReplay }) => !isReplay)).toHaveLength(1)
      expect((await a.read.listTickets({})).items).toHaveLength(1)
    })

    test('two changes that wait for each other are both made: one of them is begun anew', async () => {
      const [one, two] = [await create(), await create()]
      const met = Promise.withResolvers<void>()
      let count = 0
      const comment = async (store: Store, author: string, first: typeof one, second: typeof one) =>
        await store.write.once({ key: author, fingerprint: 'f' }, async (write) => {
          await write.addComment({ ticketId: first.id, author, body: '1' })
          if (++count === 2) met.resolve()
          await met.promise
          await write.addComment({ ticketId: second.id, author, body: '2' })
          return null
        })
      await Promise.all([comment(a, 'ann', one, two), comment(b, 'bob', two, one)])
      expect(count).toBe(3)
      const authors = (await a.read.listComments(one.id)).map(({ author }) => author)
      expect(authors.toSorted()).toEqual(['ann', 'bob'])
    })

    describe('events', () => {
      test('an event that got an earlier place and commits later is not skipped', async () => {
        const afterSeq = (await a.read.getFigures()).lastEventSeq
        const heard: SwarmEvent[] = []
        b.subscribe((events) => heard.push(...events.filter(({ seq }) => seq > afterSeq)))
        let listed: Promise<readonly SwarmEvent[]> | undefined
        let isAnswered = false
        await test_.whileUncommitted(
          "insert into events (at, type, actor, data) values (1, 'host.started', 'late', '{}')",
          async () => {
            await create()
            listed = b.read.listEvents({ afterSeq }).finally(() => {
              isAnswered = true
            })
            await test_.waitUntilBlocked()
            expect([isAnswered, heard]).toEqual([false, []])
          },
        )
        const expected = [
          ['late', afterSeq + 1],
          ['test', afterSeq + 2],
        ]
        expect((await listed)?.map(({ actor, seq }) => [actor, seq])).toEqual(expected)
        await expect.poll(() => heard.map(({ actor, seq }) => [actor, seq]), HEARD).toEqual(expected)
      })

      test('every process hears every event once, in one order', async () => {
        const afterSeq = (await a.read.getFigures()).lastEventSeq
        const heard = stores.map((store) => {
          const seqs: number[] = []
          store.subscribe((events) => {
            seqs.push(...events.map(({ seq }) => seq).filter((seq) => seq > afterSeq))
          })
          return seqs
        })
        await Promise.all(
          Array.from({ length: 40 }, (_, index) => createTestTicket(index % 2 ? a : b, project)),
        )
        const written = await a.read.listEvents({ afterSeq, countMax: 500 })
        const seqs = written.map(({ seq }) => seq)
        expect(seqs).toHaveLength(40)
        await expect.poll(() => heard.map((ofStore) => ofStore.length), HEARD).toEqual([40, 40])
        expect(heard).toEqual([seqs, seqs])
      })

      test('a reader that goes from place to place misses nothing while others write', async () => {
        let afterSeq = (await a.read.getFigures()).lastEventSeq
        const first = afterSeq
        const read: number[] = []
        let isWriting = true
        const reading = (async () => {
          for (let isLast = false; !isLast; ) {
            isLast = !isWriting
            const page = await b.read.listEvents({ afterSeq, countMax: 7 })
            read.push(...page.map(({ seq }) => seq))
            afterSeq = page.at(-1)?.seq ?? afterSeq
            if (page.length > 0) isLast = false
          }
        })()
        await Promise.all(
          Array.from({ length: 80 }, (_, index) => createTestTicket(index % 2 ? a : b, project)),
        )
        isWriting = false
        await reading
        const all = await a.read.listEvents({ afterSeq: first, countMax: 500 })
        expect(read).toEqual(all.map(({ seq }) => seq))
      })
    })
  })
}
