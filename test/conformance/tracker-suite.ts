import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { listStatuses } from '../../src/domain/status.ts'
import {
  FETCH_COUNT_MAX,
  type FetchByStatesInput,
  type TakeInput,
  type Tracker,
  type TrackerPage,
  type WriteBackInput,
} from '../../src/tracker/contract.ts'
import { waitFor } from '../support/wait-for.ts'

export type SceneTicket = {
  readonly externalId: string
  readonly title?: string
  readonly body?: string
  readonly labels?: readonly string[]
  readonly priority?: number
  readonly type?: string
  readonly word?: string
  readonly by?: string | null
  readonly createdAt?: number
}

/** Everything that stands in the tracker about a ticket. */
export type SceneRecord = {
  readonly word: string
  readonly by: string | null
  readonly result: string | null
  readonly error: string | null
  readonly branch: string | null
  readonly pullRequest: string | null
}

/** Tickets of another program, and what that program does. Its words are the default ones. */
export type TrackerScene = AsyncDisposable & {
  readonly tracker: Tracker
  /** Another tracker on the same tickets, as after a restart; closed at the end */
  another(): Tracker
  put(...tickets: readonly SceneTicket[]): void
  change(externalId: string, change: { word?: string; by?: string | null }): void
  remove(externalId: string): void
  read(externalId: string): SceneRecord | undefined
  /** Nothing answers until `repair` */
  breakDown(): void
  repair(): void
}

export type TrackerSubject = { readonly name: string; readonly open: () => Promise<TrackerScene> }

const TIMEOUT_MS = 30_000
const AT = Date.UTC(2026, 0, 2, 3, 4, 5)
const WORDS = ['pending', 'in_progress', 'done', 'failed', 'canceled']

type Page = TrackerPage & { kind: 'page' }

/** What every tracker promises. */
export function describeTracker(subject: TrackerSubject): void {
  describe(`tracker ${subject.name}`, () => {
    let scene: TrackerScene
    let tracker: Tracker

    beforeEach(async () => {
      scene = await subject.open()
      tracker = scene.tracker
    })
    afterEach(async () => await scene[Symbol.asyncDispose]())

    const signal = () => AbortSignal.timeout(TIMEOUT_MS)
    const fetch = async (input: Partial<FetchByStatesInput> = {}): Promise<Page> => {
      const page = await tracker.fetchByStates({ states: ['pending'], ...input }, signal())
      if (page.kind !== 'page') throw new Error('the page is unchanged')
      return page
    }
    const take = (input: Partial<TakeInput> = {}, by: Tracker = tracker) =>
      by.take({ externalId: 'a', mark: 'swarm:1', lastWord: null, ...input }, signal())
    const writeBack = (input: Partial<WriteBackInput> = {}) =>
      tracker.writeBack(
        {
          externalId: 'a',
          mark: 'swarm:1',
          lastWord: 'in_progress',
          status: 'done',
          outputs: null,
          error: null,
          branch: null,
          pullRequest: null,
          at: AT,
          ...input,
        },
        signal(),
      )

    describe('reading', () => {
      test('the tickets of the wanted states are given, in our words', async () => {
        scene.put(
          { externalId: 'b', title: 'Second' },
          {
            externalId: 'a',
            title: 'First',
            body: 'Do it.\n',
            labels: ['web', 'urgent'],
            priority: 1,
            type: 'bug',
            createdAt: AT,
          },
          { externalId: 'c', word: 'in_progress' },
          { externalId: 'd', word: 'done' },
        )
        const page = await fetch()
        expect(page.problems).toEqual([])
        expect(page.nextCursor).toBeNull()
        expect(page.tickets).toEqual([
          {
            externalId: 'a',
            word: 'pending',
            status: 'pending',
            title: 'First',
            body: 'Do it.\n',
            type: 'bug',
            labels: ['web', 'urgent'],
            priority: 1,
            workflow: null,
            agent: null,
            inputs: {},
            createdAt: AT,
          },
          expect.objectContaining({ externalId: 'b', body: '', labels: [], priority: 3, createdAt: null }),
        ])
        const further = await fetch({ states: ['running', 'done', 'review'] })
        expect(further.tickets.map(({ externalId, status }) => [externalId, status])).toEqual([
          ['c', 'running'],
          ['d', 'done'],
        ])
        expect((await fetch({ states: [] })).tickets).toEqual([])
      })

      test('pages give every ticket once, in the order of identifiers', async () => {
        const ids = Array.from(
          { length: 2 * FETCH_COUNT_MAX + 3 },
          (_, at) => `t${String(at).padStart(6, '0')}`,
        )
        scene.put(...ids.toReversed().map((externalId) => ({ externalId })))
        const seen: string[] = []
        let cursor: string | null | undefined
        do {
          const page: Page = await fetch(typeof cursor === 'string' ? { cursor } : {})
          expect(page.tickets.length).toBeLessThanOrEqual(FETCH_COUNT_MAX)
          seen.push(...page.tickets.map(({ externalId }) => externalId))
          cursor = page.nextCursor
        } while (cursor !== null)
        expect(seen).toEqual(ids)
      })

      test('P18: a page that cannot be read throws, and the pages before it say nothing about the rest', async () => {
        scene.put(
          ...Array.from({ length: FETCH_COUNT_MAX + 1 }, (_, at) => ({ externalId: `t${1_000 + at}` })),
        )
        const { nextCursor } = await fetch()
        if (nextCursor === null) throw new Error('there is no second page')
        scene.breakDown()
        await expect(fetch({ cursor: nextCursor })).rejects.toMatchObject({ code: 'tracker_unavailable' })
        scene.repair()
        expect((await fetch({ cursor: nextCursor })).tickets).toHaveLength(1)
      })

      test('P18: absence is only said for what was asked, and never while nothing can be read', async () => {
        scene.put({ externalId: 'a' }, { externalId: 'b', word: 'done' }, { externalId: 'c', word: 'odd' })
        const found = await tracker.fetchByIds(['c', 'nope', 'b'], signal())
        expect(
          found.tickets.map(({ externalId, word, status }) => [externalId, word, status]).sort(),
        ).toEqual([
          ['b', 'done', 'done'],
          ['c', 'odd', null],
        ])
        expect(found.problems).toEqual([])
        expect(await tracker.fetchByIds([], signal())).toEqual({ tickets: [], problems: [] })
        scene.breakDown()
        await expect(tracker.fetchByIds(['a'], signal())).rejects.toMatchObject({
          code: 'tracker_unavailable',
        })
        await expect(take()).rejects.toMatchObject({ code: 'tracker_unavailable' })
      })

      test('a ticket that cannot be mirrored is a problem beside the others', async () => {
        scene.put({ externalId: 'a' }, { externalId: 'b', title: ' ' }, { externalId: 'c' })
        const page = await fetch()
        expect(page.tickets.map(({ externalId }) => externalId)).toEqual(['a', 'c'])
        expect(page.problems).toEqual([
          { externalId: 'b', severity: 'refused', problem: 'its title is empty', fix: 'give it a title' },
        ])
      })

      test('U14: hostile identifiers and texts are inert and come through as they are', async () => {
        const hostile = [
          `'; drop table tickets; --`,
          '$(touch /tmp/x) `id` ; rm -rf / && {{ inputs }}',
          '../../../etc/passwd',
          '"quoted" \u202eright to left\u001b[2J',
          '%s%n \\0 ?1 :id @id $id',
        ]
        scene.put(...hostile.map((text) => ({ externalId: text, title: text, body: text, labels: [] })))
        const page = await fetch()
        expect(page.tickets.map(({ externalId, title, body }) => [externalId, title, body]).sort()).toEqual(
          hostile.map((text) => [text, text, text]).sort(),
        )
        for (const text of hostile) {
          expect(await take({ externalId: text, mark: text })).toEqual({ kind: 'taken', word: 'in_progress' })
          expect(await writeBack({ externalId: text, mark: text, error: text, branch: text })).toMatchObject({
            kind: 'written',
          })
          expect(scene.read(text)).toMatchObject({ word: 'done', by: text, error: text, branch: text })
        }
      })

      test('nothing is read again when nothing was written since', async () => {
        scene.put({ externalId: 'a' })
        const revision = await waitFor('a revision', async () => (await fetch()).revision ?? undefined)
        const again = async (unlessRevision: string) =>
          await tracker.fetchByStates({ states: ['pending'], unlessRevision }, signal())
        expect(await again(revision)).toEqual({ kind: 'unchanged' })
        expect(
          await scene.another().fetchByStates({ states: ['done'], unlessRevision: 'other' }, signal()),
        ).toMatchObject({ kind: 'page' })
        scene.put({ externalId: 'b' })
        expect(await again(revision)).toMatchObject({ kind: 'page', tickets: { length: 2 } })
        await take()
        const later = await again(revision)
        expect(later).toMatchObject({ kind: 'page', tickets: { length: 1 } })
      })
    })

    describe('taking', () => {
      test('a free ticket is ours; the same again changes nothing; others hear whose it is', async () => {
        scene.put({ externalId: 'a' }, { externalId: 'b' })
        expect(await take()).toEqual({ kind: 'taken', word: 'in_progress' })
        expect(scene.read('a')).toMatchObject({ word: 'in_progress', by: 'swarm:1' })
        expect(await take()).toEqual({ kind: 'taken', word: 'in_progress' })
        expect(await take({}, scene.another())).toEqual({ kind: 'taken', word: 'in_progress' })
        expect(await take({ mark: 'swarm:2' })).toEqual({ kind: 'lost', word: 'in_progress', by: 'swarm:1' })
        expect(await take({ mark: 'swarm:2', lastWord: 'in_progress' })).toMatchObject({ kind: 'lost' })
        expect(scene.read('b')).toMatchObject({ word: 'pending', by: null })
      })

      test('what is not open or not there is not taken', async () => {
        scene.put({ externalId: 'a', word: 'done' }, { externalId: 'b', word: 'odd', by: 'bob' })
        expect(await take()).toEqual({ kind: 'lost', word: 'done', by: null })
        expect(await take({ externalId: 'b' })).toEqual({ kind: 'lost', word: 'odd', by: 'bob' })
        expect(await take({ externalId: 'nope' })).toEqual({ kind: 'absent' })
        expect(scene.read('b')).toMatchObject({ word: 'odd', by: 'bob' })
      })

      test('a ticket that stands as we left it is taken again, by nobody else', async () => {
        scene.put({ externalId: 'a' })
        await take()
        await writeBack({ status: 'failed', error: 'it broke' })
        expect(await take({ mark: 'swarm:2' })).toMatchObject({ kind: 'lost' })
        expect(await take({ lastWord: 'failed' })).toEqual({ kind: 'taken', word: 'in_progress' })
        expect(await writeBack()).toEqual({ kind: 'written', word: 'done' })
        expect(scene.read('a')).toMatchObject({ word: 'done', error: null })
      })

      test.each(['failed', 'canceled'] as const)(
        'U2: one that %s, was put back and taken by somebody who writes no mark is theirs',
        async (status) => {
          scene.put({ externalId: 'a' })
          await take()
          await writeBack({ status })
          scene.change('a', { word: 'pending' })
          scene.change('a', { word: 'in_progress' })
          for (const lastWord of [null, status]) {
            expect(await take({ lastWord })).toEqual({ kind: 'lost', word: 'in_progress', by: null })
          }
        },
      )

      test('U2: under any number of takers each ticket has one', async () => {
        const ids = Array.from({ length: 12 }, (_, at) => `t${at}`)
        scene.put(...ids.map((externalId) => ({ externalId })))
        const trackers = [tracker, scene.another(), scene.another()]
        const takes = ids.flatMap((externalId) =>
          [1, 2, 3, 4].flatMap((taker) =>
            trackers.map(async (by, at) => {
              const mark = `swarm:${taker}:${at}`
              return { externalId, mark, result: await take({ externalId, mark }, by) }
            }),
          ),
        )
        const taken = (await Promise.all(takes)).filter(({ result }) => result.kind === 'taken')
        expect(taken.map(({ externalId }) => externalId).sort()).toEqual(ids.toSorted())
        for (const { externalId, mark } of taken) expect(scene.read(externalId)?.by).toBe(mark)
      })
    })

    describe('writing back', () => {
      test('status, result, error, branch and pull request stand there; the same again changes nothing', async () => {
        scene.put({ externalId: 'a' })
        await take()
        const input = {
          outputs: { summary: 'ok' },
          branch: 'swarm/a',
          pullRequest: 'https://forge.example/1',
        }
        expect(await writeBack(input)).toEqual({ kind: 'written', word: 'done' })
        const after = scene.read('a')
        expect(after).toEqual({
          word: 'done',
          by: 'swarm:1',
          result: '{"summary":"ok"}',
          error: null,
          branch: 'swarm/a',
          pullRequest: 'https://forge.example/1',
        })
        expect(await writeBack(input)).toEqual({ kind: 'written', word: 'done' })
        expect(await writeBack({ ...input, lastWord: 'done' })).toEqual({ kind: 'written', word: 'done' })
        expect(scene.read('a')).toEqual(after)
      })

      test('given back, a ticket is free for everybody', async () => {
        scene.put({ externalId: 'a' })
        await take()
        expect(await writeBack({ status: 'pending' })).toEqual({ kind: 'written', word: 'pending' })
        expect(await writeBack({ status: 'pending' })).toEqual({ kind: 'written', word: 'pending' })
        expect(scene.read('a')).toMatchObject({ word: 'pending', by: null })
        expect(await take({ mark: 'swarm:2' })).toMatchObject({ kind: 'taken' })
        expect(await writeBack({ status: 'pending' })).toEqual({
          kind: 'lost',
          word: 'in_progress',
          by: 'swarm:2',
        })
      })

      test('what somebody else changed is left as it is', async () => {
        scene.put({ externalId: 'a' }, { externalId: 'b' })
        await take()
        scene.change('a', { by: 'bob' })
        expect(await writeBack()).toEqual({ kind: 'lost', word: 'in_progress', by: 'bob' })
        await take({ externalId: 'b' })
        scene.change('b', { word: 'canceled' })
        expect(await writeBack({ externalId: 'b' })).toEqual({
          kind: 'lost',
          word: 'canceled',
          by: 'swarm:1',
        })
        expect(scene.read('b')).toMatchObject({ word: 'canceled', result: null })
        scene.remove('a')
        expect(await writeBack()).toEqual({ kind: 'absent' })
      })

      test('an end that somebody else wrote keeps their result, also when it is the same end', async () => {
        scene.put({ externalId: 'a' })
        await take()
        scene.change('a', { word: 'done' })
        const input = { outputs: { summary: 'ours' }, branch: 'swarm/a' }
        expect(await writeBack(input)).toEqual({ kind: 'lost', word: 'done', by: 'swarm:1' })
        expect(scene.read('a')).toMatchObject({ word: 'done', result: null, branch: null })
      })

      test('U4: only words of the mapping are ever written; a status without a word leaves the word', async () => {
        for (const status of listStatuses('ticket')) {
          scene.put({ externalId: status })
          await take({ externalId: status })
          const { word, kind } = {
            word: null,
            ...(await writeBack({ externalId: status, status, branch: 'b' })),
          }
          expect(kind).toBe('written')
          const stands = scene.read(status)
          expect(WORDS).toContain(stands?.word)
          expect(stands?.word).toBe(word ?? 'in_progress')
          expect(stands?.branch).toBe('b')
        }
      })

      test('what was written and never recorded is found again', async () => {
        scene.put({ externalId: 'a' })
        await take()
        expect(await take({ lastWord: null })).toMatchObject({ kind: 'taken' })
        expect(await writeBack({ lastWord: null })).toEqual({ kind: 'written', word: 'done' })
        expect(await writeBack({ lastWord: null })).toEqual({ kind: 'written', word: 'done' })
      })
    })

    test('a check says what would be mirrored and writes nothing', async () => {
      scene.put({ externalId: 'a' }, { externalId: 'b', title: '' }, { externalId: 'c', word: 'odd' })
      const check = await tracker.check(signal())
      expect(check).toMatchObject({ isUsable: true, mirroredCount: 1, sample: [{ externalId: 'a' }] })
      expect(check.counts.toSorted((a, b) => (a.word < b.word ? -1 : 1))).toEqual([
        { word: 'odd', status: null, count: 1 },
        { word: 'pending', status: 'pending', count: 2 },
      ])
      expect(check.problems.filter(({ severity }) => severity === 'refused')).toMatchObject([
        { externalId: 'b' },
      ])
      expect(scene.read('a')).toMatchObject({ word: 'pending', by: null })
    })

    test('every call ends with the reason of its signal, and after close with a sentence', async () => {
      scene.put({ externalId: 'a' })
      const reason = new Error('enough')
      const aborted = AbortSignal.abort(reason)
      await expect(tracker.check(aborted)).rejects.toBe(reason)
      await expect(tracker.fetchByStates({ states: ['pending'] }, aborted)).rejects.toBe(reason)
      await expect(tracker.fetchByIds(['a'], aborted)).rejects.toBe(reason)
      await expect(tracker.take({ externalId: 'a', mark: 'm', lastWord: null }, aborted)).rejects.toBe(reason)
      await tracker.close()
      await tracker.close()
      await expect(take()).rejects.toMatchObject({
        code: 'tracker_unavailable',
        message: expect.stringContaining('closed'),
      })
      expect(scene.read('a')).toMatchObject({ word: 'pending' })
    })
  })
}
