import { expect, test } from 'vitest'
import type { RunId } from '../domain/id.ts'
import { HostSlots } from './host-slots.ts'

const a = 'run_a' as RunId
const b = 'run_b' as RunId

test('a held run keeps one slot also while nothing of it is under way', () => {
  const slots = new HostSlots(2)
  slots.hold(a)
  expect(slots.freeCount).toBe(1)
  expect(slots.availableFor(a)).toBe(2)
})

test('a run uses more slots while others leave them free', () => {
  const slots = new HostSlots(3)
  slots.hold(a)
  slots.hold(b)
  slots.start(a)
  slots.start(a)
  expect(slots.freeCount).toBe(0)
  expect(slots.availableFor(a)).toBe(0)
  expect(slots.availableFor(b)).toBe(1)
  slots.end(a)
  expect(slots.freeCount).toBe(1)
  slots.release(a)
  expect(slots.freeCount).toBe(2)
})
