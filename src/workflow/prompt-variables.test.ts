import { expect, test } from 'vitest'
import { parseWorkflow } from './parse-workflow.ts'
import { toPromptVariables } from './prompt-variables.ts'
import { renderPrompt } from './render-prompt.ts'
import type { RunState } from './run-state.ts'

const TEXT = `
name: w
version: 1
inputs: { list: array }
steps:
  - { id: plan, kind: agent, agent: coder }
  - { id: none, kind: run, command: [x], for-each: [] }
  - { id: aside, kind: run, command: [x] }
  - id: work
    kind: agent
    needs: [plan, none]
    for-each: \${inputs.list}
    agent: coder
    prompt: >-
      {{ ticket.key }} {{ run.number }} {{ inputs.list | size }} {{ steps.plan.outputs.text }} {{ steps.plan.status }}
      {{ steps.none.outputs | size }} {{ index }} {{ item.name }}
`

test('a prompt sees the ticket, the run, its needs and its element', () => {
  const parsed = parseWorkflow(TEXT)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors))
  const step = parsed.workflow.steps.find(({ id }) => id === 'work')
  const template =
    step?.kind === 'agent' && step.prompt && 'template' in step.prompt ? step.prompt.template : ''
  const variables = toPromptVariables(parsed.workflow, STATE, { stepId: 'work', index: 1 })
  expect(renderPrompt({ template, variables })).toEqual({
    ok: true,
    text: 'WEB-1 2 2 the plan succeeded 0 1 second',
  })
})

test('a prompt does not see steps that it does not wait for, nor an element where there is none', () => {
  const parsed = parseWorkflow(TEXT)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors))
  const variables = toPromptVariables(parsed.workflow, STATE, { stepId: 'plan', index: null })
  expect(Object.keys(variables)).toEqual(['ticket', 'project', 'run', 'inputs', 'steps'])
  expect(variables.steps).toEqual({})
  expect(toPromptVariables(parsed.workflow, STATE, { stepId: 'gone', index: null }).steps).toEqual({})
})

const STATE: RunState = {
  inputs: { list: [{ name: 'first' }, { name: 'second' }] },
  ticket: { id: 't', key: 'WEB-1', title: 'Title', body: '', type: '', priority: 3, labels: [] },
  project: { id: 'p', key: 'WEB', name: 'Web', repositoryUrl: null, defaultBranch: 'main', checks: [] },
  run: { id: 'r', number: 2, branch: null, agent: null, feedback: null },
  instances: [
    { stepId: 'plan', index: null, status: 'succeeded', attemptCount: 1, outputs: { text: 'the plan' } },
    { stepId: 'aside', index: null, status: 'succeeded', attemptCount: 1, outputs: {} },
    { stepId: 'work', index: 0, status: 'succeeded', attemptCount: 1, item: { name: 'first' } },
    { stepId: 'work', index: 1, status: 'running', attemptCount: 1, item: { name: 'second' } },
  ],
}
