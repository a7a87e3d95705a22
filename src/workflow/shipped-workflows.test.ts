import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse as parseYaml } from 'yaml'
import type { Json, JsonObject } from '../domain/json.ts'
import type { Catalogue } from './catalogue.ts'
import type { Decision } from './decision.ts'
import { parseWorkflow } from './parse-workflow.ts'
import { plan } from './planner.ts'
import { resolveInputs } from './resolve-inputs.ts'
import type { StepInstanceState } from './run-state.ts'
import type { StepWork } from './step-work.ts'
import type { Workflow } from './workflow.ts'

/** The shipped agents as their packages declare them. */
const AGENTS: Catalogue = {
  agents: new Map(
    ['echo', 'script', 'http-fetch', 'coder'].map((name) => {
      const url = new URL(`../registry/shipped/agents/${name}/agent.yaml`, import.meta.url)
      const { inputs, outputs } = parseYaml(readFileSync(url, 'utf8'))
      return [name, { inputs, outputs }]
    }),
  ),
}

describe.each(['linear', 'parallel', 'echo-chain', 'code-change'])('%s', (name) => {
  test('is valid with the shipped agents', () => {
    expect(load(name)).toMatchObject({ name, version: '1' })
  })

  test('runs to its end with nothing but its defaults', () => {
    expect(simulate(load(name)).finish).toMatchObject({ status: 'succeeded' })
  })
})

test('linear: three steps in a row', () => {
  const { rounds, finish } = simulate(load('linear'), { message: 'hi' })
  expect(rounds).toEqual([['first'], ['second'], ['third']])
  expect(finish).toMatchObject({ outputs: { message: 'WEB-1: first said: hi' } })
})

test('parallel: at most three at once, gathered in order', () => {
  const { rounds, finish } = simulate(load('parallel'))
  expect(rounds).toEqual([['start'], ['each[0]', 'each[1]', 'each[2]'], ['each[3]', 'each[4]'], ['gather']])
  expect(finish).toMatchObject({
    outputs: {
      messages: ['0: one', '1: two', '2: three', '3: four', '4: five'].map((message) => ({ message })),
    },
  })
})

test('echo-chain: the message passes through every step', () => {
  const { rounds, finish } = simulate(load('echo-chain'), { message: 'pass it on' })
  expect(rounds).toEqual([['first'], ['second'], ['third']])
  expect(finish).toMatchObject({ outputs: { message: 'pass it on' } })
})

test('code-change: implement, verify with the checks of the project, pull request; done when merged', () => {
  const workflow = load('code-change')
  expect(workflow.doneWhen).toBe('merged')
  const { rounds, works } = simulate(workflow)
  expect(rounds).toEqual([['implement'], ['verify'], ['pull-request']])
  expect(works).toMatchObject([
    { kind: 'agent', agent: 'coder' },
    { kind: 'verify', commands: [['npm', 'test']] },
    { kind: 'pull-request', title: 'A title' },
  ])
  expect(simulate(workflow, { agent: 'echo' }).works[0]).toMatchObject({ agent: 'echo' })
})

function load(name: string): Workflow {
  const url = new URL(`../registry/shipped/workflows/${name}.yaml`, import.meta.url)
  const parsed = parseWorkflow(readFileSync(url, 'utf8'), { file: `${name}.yaml`, catalogue: AGENTS })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors, null, 2))
  return parsed.workflow
}

type Instance = { -readonly [Key in keyof StepInstanceState]: StepInstanceState[Key] }

/** Runs it with an executor that succeeds at once and does what the shipped agents do. */
function simulate(workflow: Workflow, given: JsonObject = {}) {
  const inputs = resolveInputs(workflow, given)
  if (!inputs.ok) throw new Error(inputs.problems.join('\n'))
  const instances: Instance[] = []
  const rounds: string[][] = []
  const works: StepWork[] = []
  for (let round = 0; round < 20; round++) {
    const state = { ...FACTS, inputs: inputs.inputs, instances: structuredClone(instances) }
    const started: string[] = []
    let finish: Decision | undefined
    for (const decision of plan(workflow, state, { now: 0, slots: 10 })) {
      if (decision.kind === 'create-instances') {
        for (const { index, item } of decision.instances) {
          instances.push({ stepId: decision.stepId, index, item, status: 'pending', attemptCount: 0 })
        }
      } else if (decision.kind === 'start') {
        const { stepId, index, work } = decision
        const instance = instances.find((one) => one.stepId === stepId && one.index === index)
        if (instance === undefined) throw new Error(`there is no instance of ${stepId}`)
        Object.assign(instance, { status: 'succeeded', attemptCount: 1, outputs: execute(work) })
        started.push(index === null ? stepId : `${stepId}[${index}]`)
        works.push(work)
      } else if (decision.kind === 'finish') finish = decision
      else throw new Error(`unexpected: ${JSON.stringify(decision)}`)
    }
    if (finish !== undefined) return { rounds, works, finish }
    rounds.push(started)
  }
  throw new Error('the run does not end')
}

function execute(work: StepWork): Json {
  switch (work.kind) {
    case 'agent':
      return work.agent === 'echo'
        ? { message: work.with.message ?? null }
        : { summary: 's', changed: true, turns: 1 }
    case 'run':
      return { exitCode: 0, stdout: work.command.at(-1) ?? '' }
    case 'verify':
      return { result: 'passed', checks: [] }
    case 'pull-request':
      return { number: 1, url: 'http://forge/1', branch: 'b', commit: 'c' }
    default:
      throw new Error(`unexpected kind ${work.kind}`)
  }
}

const FACTS = {
  ticket: { id: 't', key: 'WEB-1', title: 'A title', body: '', type: '', priority: 3, labels: [] },
  project: {
    id: 'p',
    key: 'WEB',
    name: 'Web',
    repositoryUrl: null,
    defaultBranch: 'main',
    checks: [['npm', 'test']],
  },
  run: { id: 'r', number: 1, branch: null, agent: null, feedback: null },
}
