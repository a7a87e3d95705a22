import { expect, test } from 'vitest'
import type { RunId } from '../domain/id.ts'
import { createLogger } from '../platform/log.ts'
import { LiveSandboxes } from './live-sandboxes.ts'

const RUN = 'run_1' as RunId

test('P1: when the time of a lease has passed without a renewal, nothing is to be started under it', async () => {
  const live = new LiveSandboxes(createLogger({ level: 'silent' }))
  expect(live.isOverdue(RUN)).toBe(false)
  await live.renewDeadman(RUN, 60_000)
  expect(live.isOverdue(RUN)).toBe(false)
  // As it is found by a process that was frozen for longer than that.
  await live.renewDeadman(RUN, -1)
  expect(live.isOverdue(RUN)).toBe(true)
  await live.renewDeadman(RUN, 60_000)
  expect(live.isOverdue(RUN)).toBe(false)
  live.forget(RUN)
  expect(live.isOverdue(RUN)).toBe(false)
})
