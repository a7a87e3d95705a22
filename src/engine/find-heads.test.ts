import { expect, test } from 'vitest'
import type { Attempt, StepInstance } from '../domain/step.ts'
import type { Workflow } from '../workflow/workflow.ts'
import { findHeads } from './find-heads.ts'

type Row = { step: string; index?: number; commit: string | null; status?: StepInstance['status'] }

function heads(needs: Record<string, string[]>, rows: Row[], stepId: string): readonly string[] {
  const steps = Object.entries(needs).map(([id, stepNeeds]) => ({ id, needs: stepNeeds }))
  const instances = rows.map((row) => ({
    id: `${row.step}${row.index ?? ''}`,
    stepId: row.step,
    kind: 'agent',
    status: row.status ?? 'succeeded',
    outputs: null,
  }))
  const attempts = rows.map((row) => ({
    stepInstanceId: `${row.step}${row.index ?? ''}`,
    resultCommit: row.commit,
  }))
  return findHeads({
    workflow: { steps } as unknown as Workflow,
    stepId,
    instances: instances as unknown as StepInstance[],
    attempts: attempts as unknown as Attempt[],
    startCommit: 'start',
  })
}

test('the first step builds on the commit that the run started from', () => {
  expect(heads({ a: [] }, [], 'a')).toEqual(['start'])
})

test('U8: verification sees the commit that the run produced, not the one it began with', () => {
  expect(
    heads({ implement: [], verify: ['implement'] }, [{ step: 'implement', commit: 'c1' }], 'verify'),
  ).toEqual(['c1'])
})

test('a step that changed nothing hands on what it built on itself', () => {
  const needs = { implement: [], verify: ['implement'], pr: ['verify'] }
  const rows = [
    { step: 'implement', commit: 'c1' },
    { step: 'verify', commit: null },
  ]
  expect(heads(needs, rows, 'pr')).toEqual(['c1'])
})

test('steps side by side give one head each, without duplicates', () => {
  const needs = { base: [], a: ['base'], b: ['base'], join: ['a', 'b'] }
  const rows = [
    { step: 'base', commit: 'c0' },
    { step: 'a', commit: 'c2' },
    { step: 'b', commit: 'c1' },
  ]
  expect(heads(needs, rows, 'join')).toEqual(['c1', 'c2'])
  expect(heads(needs, rows.slice(0, 1), 'join')).toEqual(['c0'])
})

test('the work of a failed instance is not built on', () => {
  const rows: Row[] = [
    { step: 'each', index: 0, commit: 'c1' },
    { step: 'each', index: 1, commit: 'c2', status: 'failed' },
  ]
  expect(heads({ each: [], join: ['each'] }, rows, 'join')).toEqual(['c1'])
})
