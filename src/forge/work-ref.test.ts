import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isBranchName } from './branch-name.ts'
import { isWorkRef, toRunRefPrefix, toWorkRef } from './work-ref.ts'

test('work has its place in the mirror', () => {
  expect(toWorkRef({ runId: 'run_1', step: 'build', instance: 3, attempt: 1 })).toBe(
    'refs/swarm/run_1/build/3/1',
  )
  expect(toRunRefPrefix('run_1')).toBe('refs/swarm/run_1/')
})

test('U14: any names give a well-formed ref, and different names different refs', () => {
  const work = fc.record({
    runId: fc.string(),
    step: fc.string(),
    instance: fc.string(),
    attempt: fc.nat(99),
  })
  fc.assert(
    fc.property(work, work, (a, b) => {
      for (const ref of [toWorkRef(a), toWorkRef(b)]) {
        fc.pre(ref.length <= 200)
        expect(isWorkRef(ref) && isBranchName(ref)).toBe(true)
      }
      expect(toWorkRef(a) === toWorkRef(b)).toBe(JSON.stringify(a) === JSON.stringify(b))
    }),
    { numRuns: 1_000 },
  )
})

test.each([
  'refs/heads/main',
  'refs/swarm',
  'refs/swarm/',
  'refs/swarm/../heads/main',
  'refs/swarm/a b',
  'x',
])('%s is no place for work', (ref) => {
  expect(isWorkRef(ref)).toBe(false)
})
