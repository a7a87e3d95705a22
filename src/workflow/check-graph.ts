import { suggest } from '../domain/nearest-word.ts'
import type { Step } from './workflow.ts'

export type GraphProblem = {
  /** Place of the step in the list, and of the need in its `needs`; absent: the step itself */
  readonly stepIndex: number
  readonly needIndex?: number
  readonly message: string
  readonly hint?: string | undefined
}

/** Ids that stand twice, needs that do not exist, cycles, and steps behind a cycle. */
export function checkGraph(steps: readonly Step[]): readonly GraphProblem[] {
  const problems: GraphProblem[] = [...findDuplicates(steps)]
  const ids = steps.map((step) => step.id)
  for (const [stepIndex, step] of steps.entries()) {
    for (const [needIndex, need] of step.needs.entries()) {
      if (need === step.id) {
        problems.push({ stepIndex, needIndex, message: `the step "${step.id}" needs itself` })
      } else if (!ids.includes(need)) {
        const others = ids.filter((id) => id !== step.id)
        problems.push({
          stepIndex,
          needIndex,
          message: `there is no step "${need}"`,
          hint: suggest(need, others),
        })
      }
    }
  }
  return problems.length > 0 ? problems : findCycles(steps)
}

/** The steps in an order in which each comes after its needs; steps of a cycle and behind one are left out. */
export function sortByNeeds(steps: readonly Step[]): readonly Step[] {
  const sorted: Step[] = []
  const done = new Set<string>()
  let rest = steps
  while (rest.length > 0) {
    const ready = rest.filter((step) => step.needs.every((need) => done.has(need)))
    if (ready.length === 0) break
    for (const step of ready) done.add(step.id)
    sorted.push(...ready)
    rest = rest.filter((step) => !done.has(step.id))
  }
  return sorted
}

/** Every step that must end before this one starts, directly or not. */
export function listAncestors(steps: readonly Step[], step: Step): ReadonlySet<string> {
  const byId = new Map(steps.map((other) => [other.id, other]))
  const ancestors = new Set<string>()
  const open = [...step.needs]
  for (let need = open.pop(); need !== undefined; need = open.pop()) {
    if (ancestors.has(need)) continue
    ancestors.add(need)
    open.push(...(byId.get(need)?.needs ?? []))
  }
  return ancestors
}

function findDuplicates(steps: readonly Step[]): readonly GraphProblem[] {
  const seen = new Set<string>()
  const problems: GraphProblem[] = []
  for (const [stepIndex, { id }] of steps.entries()) {
    if (seen.has(id)) {
      problems.push({ stepIndex, message: `the id "${id}" stands twice`, hint: 'give each step its own id' })
    }
    seen.add(id)
  }
  return problems
}

/** One problem per cycle, with its way round, and one per step that waits for a cycle for ever. */
function findCycles(steps: readonly Step[]): readonly GraphProblem[] {
  const sorted = new Set(sortByNeeds(steps).map((step) => step.id))
  const stuck = steps.filter((step) => !sorted.has(step.id))
  const problems: GraphProblem[] = []
  const inCycle = new Set<string>()
  for (const step of stuck) {
    if (inCycle.has(step.id)) continue
    const cycle = findWayBack(stuck, step)
    if (cycle === undefined) continue
    for (const id of cycle) inCycle.add(id)
    problems.push({
      stepIndex: steps.indexOf(step),
      message: `these steps need each other: ${[...cycle, step.id].join(' → ')}`,
      hint: 'take one of them out of the needs of the other',
    })
  }
  for (const step of stuck) {
    if (inCycle.has(step.id)) continue
    const need = [...listAncestors(steps, step)].find((id) => inCycle.has(id))
    problems.push({
      stepIndex: steps.indexOf(step),
      message: `the step "${step.id}" can never run: it waits for "${need ?? ''}", which is part of a cycle`,
    })
  }
  return problems
}

/** A shortest way along needs from the step to itself, or `undefined`. */
function findWayBack(steps: readonly Step[], start: Step): readonly string[] | undefined {
  const byId = new Map(steps.map((step) => [step.id, step]))
  const ways: (readonly string[])[] = [[start.id]]
  const seen = new Set<string>()
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    const needs = byId.get(way.at(-1) ?? '')?.needs ?? []
    if (needs.includes(start.id)) return way
    for (const need of needs) {
      if (seen.has(need)) continue
      seen.add(need)
      ways.push([...way, need])
    }
  }
  return undefined
}
