import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Json } from '../domain/json.ts'
import { isTerminal, isTransition, type StepStatus } from '../domain/status.ts'
import type { Decision } from './decision.ts'
import { parseWorkflow } from './parse-workflow.ts'
import { plan } from './planner.ts'
import type { RunState, StepInstanceState } from './run-state.ts'
import { type Step, takesSlot, type Workflow } from './workflow.ts'

const RUN_COUNT = 250
/** Far more than needed: the machine may be busy */
const TIMEOUT_MS = 60_000

test(
  'any valid graph ends, whatever becomes of its steps, and every rule holds on the way',
  () => {
    fc.assert(
      fc.property(
        workflows(),
        fc.array(fc.nat({ max: 999 }), { minLength: 5, maxLength: 60 }),
        (text, chances) => {
          const simulation = new Simulation(parse(text), chances)
          simulation.runToEnd()
        },
      ),
      { numRuns: RUN_COUNT },
    )
  },
  TIMEOUT_MS,
)

test(
  'the simulation sees what it must see: runs that succeed, fail, retry, fan out, skip and wait',
  () => {
    const seen = new Set<string>()
    const samples = fc.sample(
      fc.tuple(workflows(), fc.array(fc.nat({ max: 999 }), { minLength: 20, maxLength: 60 })),
      {
        numRuns: 150,
        seed: 7,
      },
    )
    for (const [text, chances] of samples) {
      const simulation = new Simulation(parse(text), chances)
      simulation.runToEnd()
      for (const thing of simulation.seen) seen.add(thing)
    }
    expect([...seen].sort()).toEqual([
      'cancel-instance',
      'create-instances',
      'fail-instance',
      'fan-out',
      'finish failed',
      'finish succeeded',
      'retry',
      'skip',
      'start',
      'wait-until',
      'waiting',
    ])
  },
  TIMEOUT_MS,
)

test(
  'the order in which the store lists instances changes nothing',
  () => {
    fc.assert(
      fc.property(
        workflows(),
        fc.array(fc.nat({ max: 999 }), { minLength: 5, maxLength: 40 }),
        (text, chances) => {
          const simulation = new Simulation(parse(text), chances)
          for (let round = 0; round < 6 && !simulation.isOver; round++) simulation.advance()
          const state = simulation.toState()
          const reversed = { ...state, instances: state.instances.toReversed() }
          expect(plan(simulation.workflow, reversed, LIMITS)).toEqual(
            plan(simulation.workflow, state, LIMITS),
          )
        },
      ),
      { numRuns: RUN_COUNT },
    )
  },
  TIMEOUT_MS,
)

test(
  'plan is total: no state that a store could hold makes it throw',
  () => {
    const instances = fc.array(
      fc.record({
        stepId: fc.oneof(
          fc.integer({ min: 0, max: 8 }).map((n) => `s${n}`),
          fc.string(),
        ),
        index: fc.oneof(fc.constant(null), fc.integer({ min: -1, max: 4 })),
        status: fc.constantFrom<StepStatus>(
          'pending',
          'running',
          'waiting',
          'succeeded',
          'failed',
          'skipped',
          'canceled',
        ),
        attemptCount: fc.integer({ min: 0, max: 3 }),
        notBefore: fc.oneof(fc.constant(null), fc.double()),
        outputs: fc.jsonValue() as fc.Arbitrary<Json>,
        item: fc.jsonValue() as fc.Arbitrary<Json>,
      }),
    )
    fc.assert(
      fc.property(workflows(), instances, fc.double(), (text, given, slots) => {
        const workflow = parse(text)
        const decisions = plan(workflow, { ...FACTS, inputs: INPUTS, instances: given }, { now: 0, slots })
        expect(Array.isArray(decisions)).toBe(true)
      }),
      { numRuns: RUN_COUNT },
    )
  },
  TIMEOUT_MS,
)

const LIMITS = { now: 1_000, slots: 3 }
const INPUTS = { flag: true, list: [1, 'two', { three: 3 }], none: [] }
const FACTS = {
  ticket: { id: 't', key: 'WEB-1', title: 'Title', body: '', type: '', priority: 3, labels: [] },
  project: {
    id: 'p',
    key: 'WEB',
    name: 'Web',
    repositoryUrl: null,
    defaultBranch: 'main',
    checks: [['true']],
  },
  run: { id: 'r', number: 1, branch: null, agent: null, feedback: null },
}

function parse(text: string): Workflow {
  const parsed = parseWorkflow(text)
  if (!parsed.ok) throw new Error(`${text}\n${JSON.stringify(parsed.errors, null, 2)}`)
  return parsed.workflow
}

/** Valid workflows as JSON, which is YAML. */
function workflows(): fc.Arbitrary<string> {
  const draw = fc.record({
    needs: fc.array(fc.nat({ max: 7 }), { maxLength: 3 }),
    kind: fc.constantFrom('run', 'agent', 'approve'),
    onFailure: fc.constantFrom('fail', 'continue', 'skip-dependents'),
    condition: fc.nat({ max: 9 }),
    list: fc.constantFrom(undefined, undefined, '${inputs.list}', '${inputs.none}', [1, 2, 3, 4], 'outputs'),
    maxParallel: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  })
  return fc
    .record({
      draws: fc.array(draw, { minLength: 1, maxLength: 8 }),
      parallel: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    })
    .map(({ draws, parallel }) => {
      const steps: Record<string, unknown>[] = []
      for (const [index, { needs, kind, onFailure, condition, list, maxParallel }] of draws.entries()) {
        const ids = [...new Set(needs.filter((need) => need < index).map((need) => `s${need}`))]
        const [need] = ids
        const needed = steps.find(({ id }) => id === need)
        // The outputs of an agent are not known beforehand: a list, or something that cannot be fanned out.
        const isAgentNeeded = needed?.kind === 'agent' && needed['for-each'] === undefined
        const forEach =
          list !== 'outputs' ? list : isAgentNeeded ? `\${steps.${need}.outputs.list}` : undefined
        const body = {
          run: { command: ['echo', isAgentNeeded ? `\${steps.${need}.outputs.text}` : 'x'] },
          agent: { agent: 'echo', with: forEach === undefined ? {} : { item: '${item}', index: '${index}' } },
          approve: { prompt: 'ok?' },
        }[kind]
        steps.push({
          id: `s${index}`,
          kind,
          needs: ids,
          'on-failure': onFailure,
          ...toCondition(condition, need, needed?.['on-failure']),
          ...(forEach === undefined ? {} : { 'for-each': forEach }),
          ...(forEach === undefined || maxParallel === undefined ? {} : { 'max-parallel': maxParallel }),
          ...body,
        })
      }
      return JSON.stringify({
        name: 'random',
        version: '1',
        inputs: { flag: 'boolean', list: 'array', none: 'array' },
        limits: parallel === undefined ? {} : { parallel },
        steps,
      })
    })
}

function toCondition(draw: number, need: string | undefined, onFailure: unknown): { if?: string } {
  if (draw === 0) return { if: 'inputs.flag' }
  if (draw === 1) return { if: 'not inputs.flag' }
  if (draw === 2) return { if: 'always' }
  if (need === undefined) return {}
  if (draw === 3) return { if: `steps.${need}.status != 'failed'` }
  if (draw === 4) return { if: `steps.${need}.status == 'succeeded' or inputs.flag` }
  if (draw === 5 && onFailure !== 'fail') return { if: `steps.${need}.status == 'failed'` }
  return {}
}

type Instance = { -readonly [Key in keyof StepInstanceState]: StepInstanceState[Key] }

/** A run with an executor that does what chance says; every decision is checked before it is applied. */
class Simulation {
  readonly workflow: Workflow
  readonly seen = new Set<string>()
  isOver = false
  readonly #chances: readonly number[]
  readonly #instances: Instance[] = []
  readonly #completed = new Set<string>()
  #now = 1_000
  #at = 0
  #slots = 0

  constructor(workflow: Workflow, chances: readonly number[]) {
    this.workflow = workflow
    this.#chances = chances
  }

  runToEnd(): void {
    for (let round = 0; !this.isOver; round++) {
      expect(round, 'the run does not end').toBeLessThan(2_000)
      this.advance()
    }
  }

  toState(): RunState {
    return { ...FACTS, inputs: INPUTS, instances: this.#instances.map((instance) => ({ ...instance })) }
  }

  /** One plan, applied, then one thing that happens. */
  advance(): void {
    this.#slots = this.#chance(4)
    const limits = { now: this.#now, slots: this.#slots }
    const decisions = plan(this.workflow, this.toState(), limits)
    expect(plan(structuredClone(this.workflow), this.toState(), limits), 'not deterministic').toEqual(
      decisions,
    )
    for (const decision of decisions) this.#apply(decision)
    this.#checkLimits()
    if (this.isOver) return
    const underWay = this.#listUnderWay()
    const wake = decisions.find(({ kind }) => kind === 'wait-until')
    if (underWay.length > 0) this.#happen(underWay[this.#chance(underWay.length)])
    else if (wake?.kind === 'wait-until') this.#now = wake.at
    else expect(this.#slots, 'nothing runs, nothing waits, nothing was started').toBe(0)
  }

  #apply(decision: Decision): void {
    expect(this.isOver, 'a decision after the end').toBe(false)
    this.seen.add(decision.kind === 'finish' ? `finish ${decision.status}` : decision.kind)
    switch (decision.kind) {
      case 'create-instances': {
        const { stepId, instances } = decision
        expect(instances.length).toBeGreaterThan(0)
        expect(this.#of(stepId), 'instances are created once').toEqual([])
        if (instances.length > 1) {
          this.seen.add('fan-out')
          this.#expectNeedsOver(this.#step(stepId))
        }
        for (const { index, item } of instances) {
          this.#instances.push({ stepId, index, item, status: 'pending', attemptCount: 0 })
        }
        return
      }
      case 'start': {
        const instance = this.#find(decision)
        const step = this.#step(decision.stepId)
        expect(this.#completed.has(toKey(instance)), 'a completed instance runs again').toBe(false)
        expect(instance.notBefore ?? 0, 'too early').toBeLessThanOrEqual(this.#now)
        expect(this.#isDoomed(), 'a doomed run starts something').toBe(false)
        this.#expectNeedsOver(step)
        if (takesSlot(step)) {
          this.#slots--
          expect(this.#slots, 'more starts than slots').toBeGreaterThanOrEqual(0)
        }
        this.#move(instance, 'running')
        instance.attemptCount++
        return
      }
      case 'skip':
        this.#move(this.#find(decision), 'skipped')
        return
      case 'fail-instance':
        this.#find(decision).reason = decision.reason
        this.#move(this.#find(decision), 'failed')
        return
      case 'cancel-instance':
        this.#find(decision).reason = decision.reason
        this.#move(this.#find(decision), 'canceled')
        return
      case 'finish':
        this.isOver = true
        expect(
          this.#instances.every(({ status }) => isTerminal('step', status)),
          'it left something',
        ).toBe(true)
        expect(decision.status).toBe(this.#hasUnforgivenFailure() ? 'failed' : 'succeeded')
        return
      case 'wait-until':
        expect(decision.at).toBeGreaterThan(this.#now)
        return
    }
  }

  /** Chance ends one instance: well, badly, to be tried again, or lets it wait. */
  #happen(instance: Instance | undefined): void {
    if (instance === undefined) return
    const outcome = this.#chance(10)
    if (instance.status === 'running' && outcome === 0) {
      this.seen.add('waiting')
      this.#move(instance, 'waiting')
    } else if (outcome <= 2 && instance.attemptCount < 3) {
      this.seen.add('retry')
      this.#move(instance, 'pending')
      instance.notBefore = this.#now + this.#chance(3) * 100
    } else if (outcome <= 4) {
      instance.reason = 'command_failed'
      this.#move(instance, 'failed')
    } else {
      instance.outputs = this.#chance(3) === 0 ? {} : { list: [1, 2], text: 'fine' }
      this.#move(instance, 'succeeded')
    }
  }

  #move(instance: Instance, to: StepStatus): void {
    expect(isTransition('step', instance.status, to), `${instance.status} → ${to}`).toBe(true)
    instance.status = to
    if (!isTerminal('step', to)) return
    expect(this.#completed.has(toKey(instance)), 'an instance completes twice').toBe(false)
    this.#completed.add(toKey(instance))
  }

  #checkLimits(): void {
    const running = this.#instances.filter(
      ({ stepId, status }) => status === 'running' && takesSlot(this.#step(stepId)),
    )
    expect(running.length).toBeLessThanOrEqual(this.workflow.limits.parallel ?? Number.POSITIVE_INFINITY)
    for (const step of this.workflow.steps) {
      const count = this.#of(step.id).filter(
        ({ status }) => status === 'running' || status === 'waiting',
      ).length
      expect(count, `max-parallel of ${step.id}`).toBeLessThanOrEqual(
        step.maxParallel ?? Number.POSITIVE_INFINITY,
      )
    }
  }

  #expectNeedsOver(step: Step): void {
    for (const need of step.needs) {
      const instances = this.#of(need)
      const { forEach } = this.#step(need)
      if (instances.length === 0) expect(forEach, `${step.id} began before ${need}`).toBe('${inputs.none}')
      for (const { status } of instances) {
        expect(isTerminal('step', status), `${step.id} began before ${need} had ended`).toBe(true)
      }
    }
  }

  #isDoomed(): boolean {
    return this.#instances.some(
      ({ stepId, status }) =>
        (status === 'failed' || status === 'canceled') && this.#step(stepId).onFailure === 'fail',
    )
  }

  #hasUnforgivenFailure(): boolean {
    return this.#instances.some(
      ({ stepId, status }) => status === 'failed' && this.#step(stepId).onFailure !== 'continue',
    )
  }

  #listUnderWay(): Instance[] {
    return this.#instances.filter(({ status }) => status === 'running' || status === 'waiting')
  }

  #step(stepId: string): Step {
    const step = this.workflow.steps.find(({ id }) => id === stepId)
    if (step === undefined) throw new Error(`there is no step ${stepId}`)
    return step
  }

  #of(stepId: string): Instance[] {
    return this.#instances.filter((instance) => instance.stepId === stepId)
  }

  #find({ stepId, index }: { stepId: string; index: number | null }): Instance {
    const instance = this.#of(stepId).find((one) => one.index === index)
    if (instance === undefined) throw new Error(`there is no instance ${stepId}[${index}]`)
    return instance
  }

  #chance(count: number): number {
    const drawn = this.#chances[this.#at % this.#chances.length] ?? 0
    // A short list must not repeat itself for ever: the turn is mixed in.
    const mixed = drawn + Math.floor(this.#at / this.#chances.length) * 7
    this.#at++
    return mixed % count
  }
}

function toKey({ stepId, index }: Instance): string {
  return `${stepId}[${index}]`
}
