import { describe, expect, test } from 'vitest'
import type { Json, JsonObject } from '../domain/json.ts'
import type { StepStatus } from '../domain/status.ts'
import type { Decision } from './decision.ts'
import { parseWorkflow } from './parse-workflow.ts'
import { plan } from './planner.ts'
import type { RunState, StepInstanceState } from './run-state.ts'
import type { Workflow } from './workflow.ts'

const NOW = 1_000_000

describe('what starts', () => {
  test('every plain step has its one instance from the first plan on, and what needs nothing starts', () => {
    const workflow = parse(`
      - { id: a, kind: run, command: [a] }
      - { id: b, kind: run, needs: [a], command: [b] }`)
    expect(plan(workflow, stateOf(), { now: NOW, slots: 5 })).toEqual([
      { kind: 'create-instances', stepId: 'a', instances: [{ index: null, item: null }] },
      { kind: 'create-instances', stepId: 'b', instances: [{ index: null, item: null }] },
      { kind: 'start', stepId: 'a', index: null, work: { kind: 'run', command: ['a'], env: {} } },
    ])
  })

  test('a step starts when all its needs have ended, not before', () => {
    const workflow = parse(`
      - { id: a, kind: run, command: [a] }
      - { id: b, kind: run, command: [b] }
      - { id: c, kind: run, needs: [a, b], command: [c] }`)
    expect(starts(workflow, [succeeded('a'), running('b'), pending('c')])).toEqual([])
    expect(starts(workflow, [succeeded('a'), succeeded('b'), pending('c')])).toEqual(['c'])
  })

  test('no more starts than slots, in the order of the workflow', () => {
    const workflow = parse(`
      - { id: a, kind: run, command: [a] }
      - { id: b, kind: run, command: [b] }
      - { id: c, kind: run, command: [c] }`)
    const state = [pending('a'), pending('b'), pending('c')]
    expect(starts(workflow, state, 2)).toEqual(['a', 'b'])
    expect(starts(workflow, state, 0)).toEqual([])
    expect(starts(workflow, state, Number.NaN)).toEqual([])
    expect(starts(workflow, state, -1)).toEqual([])
  })

  test('a step that takes no slot starts without one', () => {
    const workflow = parse(`
      - { id: a, kind: approve, prompt: ok? }
      - { id: b, kind: wait, for: 5m }
      - { id: c, kind: run, command: [c] }`)
    expect(starts(workflow, [pending('a'), pending('b'), pending('c')], 0)).toEqual(['a', 'b'])
    const hostWork = parse(`
      - { id: a, kind: http, url: 'http://x' }
      - { id: b, kind: workflow, workflow: other }
      - { id: c, kind: pull-request }
      - { id: d, kind: verify }
      - { id: e, kind: agent, agent: coder }`)
    expect(starts(hostWork, ['a', 'b', 'c', 'd', 'e'].map(pending), 0)).toEqual(['a', 'b', 'c'])
  })

  test("the run's parallel limit counts what is running, not what waits", () => {
    const workflow = parse(
      `
      - { id: a, kind: run, command: [a] }
      - { id: b, kind: agent, agent: coder }
      - { id: c, kind: run, command: [c] }
      - { id: d, kind: run, command: [d] }`,
      'limits: { parallel: 2 }',
    )
    const state = [running('a'), { ...running('b'), status: 'waiting' as const }, pending('c'), pending('d')]
    expect(starts(workflow, state)).toEqual(['c'])
  })

  test('max-parallel counts what is running and what waits', () => {
    const workflow = parse('- { id: a, kind: approve, prompt: ok?, for-each: [1, 2, 3, 4], max-parallel: 2 }')
    const state = [0, 1, 2, 3].map((index) => ({ ...pending('a'), index, item: index }))
    expect(starts(workflow, state)).toEqual(['a[0]', 'a[1]'])
    const waiting = state.map((instance) =>
      instance.index === 0 ? { ...instance, status: 'waiting' as const } : instance,
    )
    expect(starts(workflow, waiting)).toEqual(['a[1]'])
  })

  test('U9: a retry never starts before its time; the plan says when to look again', () => {
    const workflow = parse('- { id: a, kind: run, command: [a] }')
    const state = stateOf([{ ...pending('a'), attemptCount: 1, notBefore: NOW + 500 }])
    expect(plan(workflow, state, { now: NOW, slots: 1 })).toEqual([{ kind: 'wait-until', at: NOW + 500 }])
    expect(plan(workflow, state, { now: NOW + 499, slots: 1 })).toEqual([
      { kind: 'wait-until', at: NOW + 500 },
    ])
    expect(kinds(plan(workflow, state, { now: NOW + 500, slots: 1 }))).toEqual(['start'])
  })

  test('an instance starts with its references resolved', () => {
    const workflow = parse(
      `
      - { id: a, kind: agent, agent: coder, outputs: { files: array } }
      - id: b
        kind: agent
        needs: [a]
        agent: \${inputs.who}
        with: { files: '\${steps.a.outputs.files}', text: 'for \${ticket.key}: \${inputs.count}' }`,
      'inputs: { who: { type: string, default: echo }, count: { type: number, default: 3 } }',
    )
    const state = stateOf([succeeded('a', { files: ['x'] }), pending('b')], { who: 'echo', count: 3 })
    expect(plan(workflow, state, { now: NOW, slots: 1 })).toEqual([
      {
        kind: 'start',
        stepId: 'b',
        index: null,
        work: { kind: 'agent', agent: 'echo', with: { files: ['x'], text: 'for WEB-1: 3' } },
      },
    ])
  })
})

describe('conditions and skipping', () => {
  test('a step whose condition is false is skipped, and so is what needs it', () => {
    const workflow = parse(
      `
      - { id: a, kind: run, if: inputs.go, command: [a] }
      - { id: b, kind: run, needs: [a], command: [b] }
      - { id: c, kind: run, needs: [b], command: [c] }`,
      'inputs: { go: boolean }',
    )
    const decisions = planAll(workflow, [], { go: false })
    expect(decisions.filter(({ kind }) => kind !== 'create-instances')).toEqual([
      { kind: 'skip', stepId: 'a', index: null, reason: 'condition_false' },
      { kind: 'skip', stepId: 'b', index: null, reason: 'need_not_met' },
      { kind: 'skip', stepId: 'c', index: null, reason: 'need_not_met' },
      { kind: 'finish', status: 'succeeded', outputs: { c: null } },
    ])
  })

  test.each([
    ["steps.a.status == 'skipped'", true],
    ["steps.a.status == 'succeeded' or inputs.go", false],
    ['always', true],
    ['not inputs.go', false],
  ])('a step after a skipped one with the condition %s: starts %s', (condition, isStarted) => {
    const workflow = parse(
      `
      - { id: a, kind: run, if: inputs.go, command: [a] }
      - { id: b, kind: run, needs: [a], if: "${condition}", command: [b] }`,
      'inputs: { go: { type: boolean, default: false } }',
    )
    expect(starts(workflow, [], 5, { go: false })).toEqual(isStarted ? ['b'] : [])
  })

  test('a condition answers for the needs whose status it names, and for no other', () => {
    const workflow = parse(
      `
      - { id: a, kind: run, if: inputs.go, command: [a] }
      - { id: b, kind: run, if: inputs.go, command: [b] }
      - { id: c, kind: run, needs: [a, b], if: "steps.a.status == 'skipped'", command: [c] }`,
      'inputs: { go: { type: boolean, default: false } }',
    )
    expect(planAll(workflow, [], { go: false })).toContainEqual({
      kind: 'skip',
      stepId: 'c',
      index: null,
      reason: 'need_not_met',
    })
  })

  test('the right side of "and" is not looked at when the left decides', () => {
    const workflow = parse(`
      - { id: a, kind: agent, agent: x, on-failure: continue, outputs: { score: number } }
      - id: b
        kind: run
        needs: [a]
        if: steps.a.status == 'succeeded' and steps.a.outputs.score > 3
        command: [b]`)
    expect(kinds(planAll(workflow, [failed('a'), pending('b')]))).toEqual(['skip', 'finish'])
    expect(starts(workflow, [succeeded('a', { score: 4 }), pending('b')])).toEqual(['b'])
    expect(kinds(planAll(workflow, [succeeded('a', { score: 3 }), pending('b')]))).toEqual(['skip', 'finish'])
  })

  test('an unresolved reference fails the instance with its reason, before anything starts', () => {
    const workflow = parse(`
      - { id: a, kind: agent, agent: x }
      - { id: b, kind: agent, needs: [a], agent: y, with: { text: '\${steps.a.outputs.nothing}' } }`)
    expect(planAll(workflow, [succeeded('a', {}), pending('b')])).toEqual([
      {
        kind: 'fail-instance',
        stepId: 'b',
        index: null,
        reason: 'reference_unresolved',
        message: 'with.text: ${steps.a.outputs.nothing} is unresolved: there is no "nothing" in it',
      },
      {
        kind: 'finish',
        status: 'failed',
        reason: 'reference_unresolved',
        message: 'the step b failed',
        outputs: { b: null },
      },
    ])
  })

  test('an unresolved reference in a condition fails the instance', () => {
    const workflow = parse(`
      - { id: a, kind: agent, agent: x }
      - { id: b, kind: run, needs: [a], if: steps.a.outputs.ok, command: [b] }`)
    expect(planAll(workflow, [succeeded('a', {}), pending('b')])[0]).toMatchObject({
      kind: 'fail-instance',
      reason: 'reference_unresolved',
    })
    expect(planAll(workflow, [succeeded('a', { ok: 'yes' }), pending('b')])[0]).toMatchObject({
      kind: 'fail-instance',
      reason: 'input_invalid',
    })
  })

  test('an instance that cannot start and is forgiven lets its dependents go on in the same plan', () => {
    const workflow = parse(`
      - { id: a, kind: agent, agent: x }
      - { id: b, kind: run, needs: [a], on-failure: continue, command: ['\${steps.a.outputs.nothing}'] }
      - { id: c, kind: run, needs: [b], command: [c] }`)
    const decisions = planAll(workflow, [succeeded('a', {}), pending('b'), pending('c')])
    expect(kinds(decisions)).toEqual(['fail-instance', 'start'])
  })

  test('when one step cannot go on, no other starts or is even looked at', () => {
    const workflow = parse(`
      - { id: a, kind: agent, agent: x }
      - { id: b, kind: run, needs: [a], if: steps.a.outputs.nothing, command: [b] }
      - { id: c, kind: run, needs: [a], command: ['\${steps.a.outputs.nothing}'] }
      - { id: d, kind: run, needs: [a], command: [d] }`)
    const decisions = planAll(workflow, [succeeded('a', {}), pending('b'), pending('c'), pending('d')])
    expect(kinds(decisions)).toEqual(['fail-instance', 'skip', 'skip', 'finish'])
  })

  test('outputs of an agent that look like references are text', () => {
    const workflow = parse(`
      - { id: a, kind: agent, agent: x }
      - { id: b, kind: agent, needs: [a], agent: y, with: { text: 'said: \${steps.a.outputs.text}' } }`)
    const [start] = planAll(workflow, [
      succeeded('a', { text: '${inputs.secret} {{ ticket }}' }),
      pending('b'),
    ])
    expect(start).toMatchObject({ work: { with: { text: 'said: ${inputs.secret} {{ ticket }}' } } })
  })
})

describe('on-failure', () => {
  const fanOut = (onFailure: string) =>
    parse(`
      - { id: a, kind: run, command: [a], on-failure: ${onFailure} }
      - { id: b, kind: run, command: [b] }
      - { id: c, kind: run, needs: [a], command: [c] }
      - { id: d, kind: run, needs: [b], command: [d] }`)

  test('fail: nothing new starts, and the run fails once what is running has ended', () => {
    const workflow = fanOut('fail')
    const whileRunning = [failed('a'), running('b'), pending('c'), pending('d')]
    expect(planAll(workflow, whileRunning)).toEqual([
      { kind: 'skip', stepId: 'c', index: null, reason: 'step_failed' },
      { kind: 'skip', stepId: 'd', index: null, reason: 'step_failed' },
    ])
    const afterwards = [failed('a'), succeeded('b', { x: 1 }), skipped('c'), skipped('d')]
    expect(planAll(workflow, afterwards)).toEqual([
      {
        kind: 'finish',
        status: 'failed',
        reason: 'command_failed',
        message: 'the step a failed',
        outputs: { c: null, d: null },
      },
    ])
  })

  test('fail: what waits, also for another attempt, is canceled and the run ends', () => {
    const workflow = fanOut('fail')
    const state = [
      failed('a'),
      { ...running('b'), status: 'waiting' as const },
      { ...pending('c'), attemptCount: 1 },
    ]
    expect(planAll(workflow, [...state, pending('d')])).toMatchObject([
      { kind: 'cancel-instance', stepId: 'b', reason: 'step_failed' },
      { kind: 'cancel-instance', stepId: 'c', reason: 'step_failed' },
      { kind: 'skip', stepId: 'd', reason: 'step_failed' },
      { kind: 'finish', status: 'failed', reason: 'command_failed' },
    ])
  })

  test('continue: dependents go on and the run succeeds', () => {
    const workflow = fanOut('continue')
    expect(starts(workflow, [failed('a'), running('b'), pending('c'), pending('d')])).toEqual(['c'])
    const end = planAll(workflow, [failed('a'), succeeded('b'), succeeded('c'), succeeded('d')])
    expect(end).toMatchObject([{ kind: 'finish', status: 'succeeded' }])
  })

  test('skip-dependents: other branches go on to their end, then the run fails', () => {
    const workflow = fanOut('skip-dependents')
    const decisions = planAll(workflow, [failed('a'), succeeded('b'), pending('c'), pending('d')])
    expect(kinds(decisions)).toEqual(['skip', 'start'])
    expect(decisions[0]).toMatchObject({ stepId: 'c', reason: 'need_not_met' })
    const end = planAll(workflow, [failed('a'), succeeded('b'), skipped('c'), succeeded('d')])
    expect(end).toMatchObject([{ kind: 'finish', status: 'failed', reason: 'command_failed' }])
  })

  test('a step may deal with a failure by its condition', () => {
    const workflow = parse(`
      - { id: a, kind: run, command: [a], on-failure: skip-dependents }
      - { id: repair, kind: run, needs: [a], if: "steps.a.status == 'failed'", command: [c] }`)
    expect(starts(workflow, [failed('a'), pending('repair')])).toEqual(['repair'])
    expect(kinds(planAll(workflow, [succeeded('a'), pending('repair')]))).toEqual(['skip', 'finish'])
  })

  test('an instance that a person canceled counts as a failure of its step', () => {
    const workflow = fanOut('fail')
    const canceled = { ...pending('a'), status: 'canceled' as const, reason: 'canceled_by_person' as const }
    const decisions = planAll(workflow, [canceled, succeeded('b'), pending('c'), pending('d')])
    expect(decisions.at(-1)).toMatchObject({ kind: 'finish', status: 'failed', reason: 'canceled_by_person' })
  })
})

describe('for-each', () => {
  const each = (rest = '') =>
    parse(
      `
      - { id: a, kind: agent, agent: x, for-each: '\${inputs.list}', with: { text: '\${index}:\${item.name}' }${rest} }
      - { id: b, kind: agent, needs: [a], agent: y, with: { all: '\${steps.a.outputs}' } }`,
      'inputs: { list: array }',
    )

  test('one instance per element, each with its element and place', () => {
    const decisions = planAll(each(), [], { list: [{ name: 'p' }, { name: 'q' }] })
    expect(decisions).toMatchObject([
      { kind: 'create-instances', stepId: 'b' },
      {
        kind: 'create-instances',
        stepId: 'a',
        instances: [
          { index: 0, item: { name: 'p' } },
          { index: 1, item: { name: 'q' } },
        ],
      },
      { kind: 'start', stepId: 'a', index: 0, work: { with: { text: '0:p' } } },
      { kind: 'start', stepId: 'a', index: 1, work: { with: { text: '1:q' } } },
    ])
  })

  test("its outputs are the list of its instances' outputs, in order, null where there are none", () => {
    const workflow = each(', on-failure: continue')
    const state = [
      { ...succeeded('a', { n: 1 }), index: 1 },
      { ...succeeded('a', { n: 0 }), index: 0 },
      { ...failed('a'), index: 2 },
      pending('b'),
    ]
    const [start] = planAll(workflow, state, { list: [1, 2, 3] })
    expect(start).toMatchObject({
      kind: 'start',
      stepId: 'b',
      work: { with: { all: [{ n: 0 }, { n: 1 }, null] } },
    })
  })

  test('an empty list succeeds with empty outputs and no instance', () => {
    const decisions = planAll(each(), [pending('b')], { list: [] })
    expect(decisions).toMatchObject([{ kind: 'start', stepId: 'b', work: { with: { all: [] } } }])
  })

  test('a list that is none fails the step, with one instance to show it', () => {
    const decisions = planAll(each(), [pending('b')], { list: 'text' })
    expect(decisions).toMatchObject([
      { kind: 'create-instances', stepId: 'a', instances: [{ index: null }] },
      { kind: 'fail-instance', stepId: 'a', index: null, reason: 'input_invalid' },
      { kind: 'skip', stepId: 'b' },
      { kind: 'finish', status: 'failed', reason: 'input_invalid' },
    ])
  })

  test('a list that is too long fails the step', () => {
    const decisions = planAll(each(), [pending('b')], { list: Array.from({ length: 1_001 }, () => 1) })
    expect(decisions.at(-1)).toMatchObject({ kind: 'finish', reason: 'too_many_instances' })
  })

  test('a condition with item or index decides per instance, one without for the whole step', () => {
    const perItem = parse(
      '- { id: a, kind: agent, agent: x, for-each: "${inputs.list}", if: item > 1 and index < 3 }',
      'inputs: { list: array }',
    )
    const decisions = planAll(perItem, [], { list: [1, 2, 3, 4] })
    expect(decisions.slice(1).map((one) => ('index' in one ? `${one.kind} ${one.index}` : one.kind))).toEqual(
      ['skip 0', 'skip 3', 'start 1', 'start 2'],
    )
    const whole = parse(
      '- { id: a, kind: agent, agent: x, for-each: "${inputs.list}", if: inputs.go }',
      'inputs: { list: array, go: boolean }',
    )
    expect(planAll(whole, [], { list: [1, 2], go: false })).toMatchObject([
      { kind: 'create-instances', instances: [{ index: null }] },
      { kind: 'skip', stepId: 'a', index: null, reason: 'condition_false' },
      { kind: 'finish', status: 'succeeded', outputs: { a: null } },
    ])
  })

  test('on-failure: fail stops the other instances that have not begun', () => {
    const state = [
      { ...failed('a'), index: 0 },
      { ...running('a'), index: 1 },
      { ...pending('a'), index: 2 },
      pending('b'),
    ]
    expect(planAll(each(), state, { list: [1, 2, 3] })).toMatchObject([
      { kind: 'skip', stepId: 'a', index: 2, reason: 'step_failed' },
      { kind: 'skip', stepId: 'b', index: null, reason: 'step_failed' },
    ])
  })

  test('a list in the workflow may hold references', () => {
    const workflow = parse(
      '- { id: a, kind: run, for-each: ["${ticket.key}", two], command: [echo, "${item}"] }',
    )
    expect(planAll(workflow, [])[0]).toMatchObject({
      instances: [
        { index: 0, item: 'WEB-1' },
        { index: 1, item: 'two' },
      ],
    })
  })
})

describe('the end', () => {
  test("a run gives back the workflow's outputs", () => {
    const workflow = parse(
      '- { id: a, kind: agent, agent: x }',
      'outputs: { text: "got ${steps.a.outputs.n}", n: "${steps.a.outputs.n}" }',
    )
    expect(planAll(workflow, [succeeded('a', { n: 7 })])).toEqual([
      { kind: 'finish', status: 'succeeded', outputs: { text: 'got 7', n: 7 } },
    ])
  })

  test('an output that a step which succeeded does not give fails the run; of one that did not it is null', () => {
    const workflow = parse(
      `
      - { id: a, kind: agent, agent: x, if: inputs.go }`,
      'inputs: { go: boolean }\noutputs: { n: "${steps.a.outputs.n}" }',
    )
    expect(planAll(workflow, [succeeded('a', {})], { go: true })).toMatchObject([
      { kind: 'finish', status: 'failed', reason: 'reference_unresolved', outputs: { n: null } },
    ])
    expect(planAll(workflow, [pending('a')], { go: false }).at(-1)).toEqual({
      kind: 'finish',
      status: 'succeeded',
      outputs: { n: null },
    })
  })

  test('P5: a completed step never runs again', () => {
    const workflow = parse(`
      - { id: a, kind: run, command: [a] }
      - { id: b, kind: run, needs: [a], command: [b] }`)
    const state = [succeeded('a'), succeeded('b')]
    expect(kinds(planAll(workflow, state))).toEqual(['finish'])
    expect(kinds(planAll(workflow, state))).toEqual(['finish'])
  })
})

describe('states that no checked workflow leads to', () => {
  test('steps that need each other, or a step that does not exist, end the run instead of hanging it', () => {
    const step = { kind: 'run', command: ['a'], env: {}, onFailure: 'fail' } as const
    const workflow: Workflow = {
      name: 'w',
      version: '1',
      inputs: {},
      doneWhen: 'finished',
      limits: {},
      steps: [
        { ...step, id: 'a', needs: ['b'] },
        { ...step, id: 'b', needs: ['a'] },
        { ...step, id: 'c', needs: ['nowhere'] },
      ],
    }
    const decisions = planAll(workflow, [])
    expect(decisions.at(-1)).toMatchObject({ kind: 'finish', status: 'failed', reason: 'workflow_invalid' })
  })

  test('instances of unknown steps and instances that stand twice change nothing', () => {
    const workflow = parse('- { id: a, kind: run, command: [a] }')
    const state = [succeeded('a'), failed('a'), running('zzz')]
    expect(planAll(workflow, state)).toMatchObject([{ kind: 'finish', status: 'succeeded' }])
  })

  test('a for-each instance without a place fails instead of running', () => {
    const workflow = parse('- { id: a, kind: run, for-each: [1], command: [a] }')
    expect(planAll(workflow, [pending('a')])).toMatchObject([
      { kind: 'fail-instance', reason: 'workflow_invalid' },
      { kind: 'finish', status: 'failed', reason: 'workflow_invalid' },
    ])
  })
})

function parse(steps: string, head = ''): Workflow {
  const text = `name: test\nversion: 1\n${head}\nsteps:\n${steps.trim().startsWith('- ') ? steps.replace(/^\n/, '') : steps}`
  const parsed = parseWorkflow(text)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors, null, 2))
  return parsed.workflow
}

function stateOf(instances: readonly StepInstanceState[] = [], inputs: JsonObject = {}): RunState {
  return {
    inputs,
    ticket: { id: 't', key: 'WEB-1', title: 'Title', body: 'Body', type: 'bug', priority: 3, labels: ['x'] },
    project: {
      id: 'p',
      key: 'WEB',
      name: 'Web',
      repositoryUrl: null,
      defaultBranch: 'main',
      checks: [['true']],
    },
    run: { id: 'r', number: 1, branch: null, agent: null, feedback: null },
    instances,
  }
}

function planAll(workflow: Workflow, instances: readonly StepInstanceState[], inputs: JsonObject = {}) {
  return plan(workflow, stateOf(instances, inputs), { now: NOW, slots: 100 })
}

function starts(
  workflow: Workflow,
  instances: readonly StepInstanceState[],
  slots = 100,
  inputs: JsonObject = {},
) {
  const decisions = plan(workflow, stateOf(instances, inputs), { now: NOW, slots })
  return decisions
    .filter((decision) => decision.kind === 'start')
    .map(({ stepId, index }) => (index === null ? stepId : `${stepId}[${index}]`))
}

function kinds(decisions: readonly Decision[]) {
  return decisions.map(({ kind }) => kind)
}

function instance(stepId: string, status: StepStatus): StepInstanceState {
  return { stepId, index: null, status, attemptCount: status === 'pending' ? 0 : 1 }
}

const pending = (stepId: string) => instance(stepId, 'pending')
const running = (stepId: string) => instance(stepId, 'running')
const skipped = (stepId: string) => instance(stepId, 'skipped')
const failed = (stepId: string) => ({ ...instance(stepId, 'failed'), reason: 'command_failed' as const })
const succeeded = (stepId: string, outputs: Json = {}) => ({ ...instance(stepId, 'succeeded'), outputs })
