import { expect, test } from 'vitest'
import { createFakeBoard, createFakeTracker } from '../../src/tracker/fake/create-fake-tracker.ts'

const signal = new AbortController().signal

test('words in a title make the trouble that they name', async () => {
  const board = createFakeBoard()
  const tracker = createFakeTracker({ board })
  const take = (externalId: string) => tracker.take({ externalId, mark: 'swarm:1', lastWord: null }, signal)
  const finish = (externalId: string) =>
    tracker.writeBack(
      {
        externalId,
        mark: 'swarm:1',
        lastWord: 'in_progress',
        status: 'done',
        outputs: null,
        error: null,
        branch: null,
        pullRequest: null,
        at: 0,
      },
      signal,
    )

  board.put({ externalId: 'lost', title: 'fake-take-lost' })
  expect(await take('lost')).toEqual({ kind: 'lost', word: 'in_progress', by: 'somebody else' })

  board.put({ externalId: 'refused', title: 'fake-take-refused' })
  await expect(take('refused')).rejects.toMatchObject({ code: 'tracker_refused' })

  board.put({ externalId: 'later', title: 'fake-take-fails-2 fake-write-back-fails-1' })
  await expect(take('later')).rejects.toMatchObject({ code: 'tracker_unavailable' })
  await expect(take('later')).rejects.toMatchObject({ code: 'tracker_unavailable' })
  expect(await take('later')).toEqual({ kind: 'taken', word: 'in_progress' })
  await expect(finish('later')).rejects.toMatchObject({ code: 'tracker_unavailable' })
  expect(await finish('later')).toEqual({ kind: 'written', word: 'done' })

  board.put({ externalId: 'never', title: 'fake-write-back-refused' })
  await take('never')
  await expect(finish('never')).rejects.toMatchObject({ code: 'tracker_refused' })

  board.put({ externalId: 'page', title: 'fake-page-fails' })
  await expect(tracker.fetchByStates({ states: ['pending'] }, signal)).rejects.toMatchObject({
    code: 'tracker_unavailable',
  })
  expect((await tracker.fetchByIds(['never'], signal)).tickets).toHaveLength(1)
})
