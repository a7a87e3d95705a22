import type { JsonObject } from '../domain/json.ts'
import type { RunPins } from '../domain/run.ts'
import type { RunState } from '../store/contract.ts'
import type { RunState as PlannerState } from '../workflow/run-state.ts'

/** The store's rows as the planner wants them. */
export function toPlannerState(state: RunState): PlannerState {
  const { run, ticket, project } = state
  const pins = getPins(state)
  return {
    inputs: run.inputs,
    ticket: {
      id: ticket.id,
      key: ticket.key,
      title: ticket.title,
      body: ticket.body,
      type: ticket.type,
      priority: ticket.priority,
      labels: ticket.labels,
    },
    project: {
      id: project.id,
      key: project.key,
      name: project.name,
      repositoryUrl: project.repositoryUrl,
      defaultBranch: project.defaultBranch,
      checks: pins.checks,
    },
    run: { id: run.id, number: run.number, branch: pins.branch, agent: pins.agent, feedback: pins.feedback },
    instances: state.instances.map((instance) => ({
      stepId: instance.stepId,
      index: instance.index,
      status: instance.status,
      reason: instance.reason,
      notBefore: instance.notBefore,
      attemptCount: instance.attemptCount,
      ...(instance.outputs === null ? {} : { outputs: instance.outputs as JsonObject }),
      item: instance.item,
    })),
  }
}

/** What was pinned when the run was translated; a run without pins was never translated. */
export function getPins(state: RunState): RunPins {
  const { pins } = state.run
  if (pins === null) throw new Error(`run ${state.run.id} has no pins: it was not translated`)
  return pins
}
