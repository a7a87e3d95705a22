import { expect, test } from 'vitest'
import { Bell } from './bell.ts'

const LONG_MS = 60_000

test('a ring ends the wait', async () => {
  const bell = new Bell()
  const waiting = bell.wait({ timeoutMs: LONG_MS })
  bell.ring()
  await expect(waiting).resolves.toBeUndefined()
})

test('a ring before the wait is not lost, and several count as one', async () => {
  const bell = new Bell()
  bell.ring()
  bell.ring()
  await bell.wait({ timeoutMs: LONG_MS })
  const order: string[] = []
  const second = bell.wait({ timeoutMs: 5 }).then(() => order.push('time'))
  await second
  expect(order).toEqual(['time'])
})
