type Problem = {
  /** `null`: it concerns the whole tracker */
  readonly externalId: string | null
  readonly severity: string
  readonly problem: string
  readonly fix: string | null
}

export type ProblemGroup = Pick<Problem, 'severity' | 'fix'> & { readonly text: string }

const NAMED_COUNT_MAX = 5

/** What is said of several tickets is said once: `tickets 3, 4: its title is empty`. In the order of their first. */
export function groupProblems(problems: readonly Problem[]): readonly ProblemGroup[] {
  const groups = new Map<string, { first: Problem; ids: string[] }>()
  for (const each of problems) {
    const key = JSON.stringify([each.severity, each.externalId === null, each.problem, each.fix])
    const group = groups.get(key) ?? { first: each, ids: [] }
    groups.set(key, group)
    if (each.externalId !== null) group.ids.push(each.externalId)
  }
  return [...groups.values()].map(({ first: { severity, problem, fix }, ids }) => ({
    severity,
    text: ids.length === 0 ? problem : `${nameTickets(ids)}: ${problem}`,
    fix,
  }))
}

function nameTickets(ids: readonly string[]): string {
  const named = ids.slice(0, NAMED_COUNT_MAX).join(', ')
  const more = ids.length > NAMED_COUNT_MAX ? ` and ${ids.length - NAMED_COUNT_MAX} more` : ''
  return `${ids.length === 1 ? 'ticket' : 'tickets'} ${named}${more}`
}
