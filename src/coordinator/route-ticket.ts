import type { JsonObject } from '../domain/json.ts'
import type { Project } from '../domain/project.ts'
import type { Ticket } from '../domain/ticket.ts'
import type { RouteExplanation } from './control.ts'

/** An ordered, declarative rule; the first that matches a ticket wins. */
export type RouteRule = {
  readonly name: string
  /** All that are given must hold */
  readonly when: {
    /** Any of these types */
    readonly types: readonly string[] | null
    /** All of these labels */
    readonly labels: readonly string[] | null
    /** Any of these project keys */
    readonly projects: readonly string[] | null
    /** Part of the title, case ignored */
    readonly titleContains: string | null
  }
  readonly workflow: string
  readonly agent: string | null
  readonly inputs: JsonObject
}

/**
 * Which workflow a ticket goes to, and why. In order: the workflow that the ticket names, the rules of the
 * configuration, the project's default, the repository's default. The ticket's own agent and inputs win over a
 * rule's.
 */
export function routeTicket(input: {
  readonly ticket: Ticket
  readonly project: Project
  readonly rules: readonly RouteRule[]
  /** `default-workflow` of the repository's `.swarm/project.yaml` */
  readonly repositoryDefault: string | null
}): RouteExplanation {
  const { ticket, project } = input
  const candidates: Candidate[] = [
    {
      name: 'ticket',
      mismatch: ticket.workflow === null ? 'the ticket names no workflow' : null,
      why: 'the ticket names its workflow',
      workflow: ticket.workflow ?? '',
      agent: null,
      inputs: {},
    },
    ...input.rules.map((rule) => ({
      name: `rule ${rule.name}`,
      mismatch: findMismatch(rule, ticket, project),
      why: 'every condition of the rule holds',
      workflow: rule.workflow,
      agent: rule.agent,
      inputs: rule.inputs,
    })),
    toDefault('project default', project.defaultWorkflow, `project ${project.key}`),
    toDefault('repository default', input.repositoryDefault, '.swarm/project.yaml'),
  ]
  const chosen = candidates.find((candidate) => candidate.mismatch === null)
  return {
    rules: candidates.map(({ name, mismatch, why }) => ({
      name,
      isMatch: mismatch === null,
      why: mismatch ?? why,
    })),
    result:
      chosen === undefined
        ? {
            kind: 'unroutable',
            detail: `nothing routes this ticket: name a workflow on it ("swarm ticket edit ${ticket.key} --workflow …"), give project ${project.key} a default, or add a rule`,
          }
        : {
            kind: 'routed',
            workflow: chosen.workflow,
            agent: ticket.agent ?? chosen.agent,
            inputs: { ...chosen.inputs, ...ticket.inputs },
            rule: chosen.name,
          },
  }
}

type Candidate = {
  readonly name: string
  /** Why it does not match, or `null` when it does */
  readonly mismatch: string | null
  readonly why: string
  readonly workflow: string
  readonly agent: string | null
  readonly inputs: JsonObject
}

function toDefault(name: string, workflow: string | null, owner: string): Candidate {
  return {
    name,
    mismatch: workflow === null ? `${owner} has no default workflow` : null,
    why: `${owner} has a default workflow`,
    workflow: workflow ?? '',
    agent: null,
    inputs: {},
  }
}

function findMismatch({ when }: RouteRule, ticket: Ticket, project: Project): string | null {
  if (when.projects !== null && !when.projects.includes(project.key)) {
    return `project ${project.key} is not one of ${when.projects.join(', ')}`
  }
  if (when.types !== null && !when.types.includes(ticket.type)) {
    return `type ${JSON.stringify(ticket.type)} is not one of ${when.types.join(', ')}`
  }
  const missing = when.labels?.find((label) => !ticket.labels.includes(label))
  if (missing !== undefined) return `the ticket has no label ${missing}`
  const { titleContains } = when
  if (titleContains !== null && !ticket.title.toLowerCase().includes(titleContains.toLowerCase())) {
    return `the title does not contain ${JSON.stringify(titleContains)}`
  }
  return null
}
