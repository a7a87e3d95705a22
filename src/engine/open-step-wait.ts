import type { JsonObject } from '../domain/json.ts'
import type { LeaseProof } from '../domain/run.ts'
import type { StepInstance } from '../domain/step.ts'
import type { RunState } from '../store/contract.ts'
import { resolveInputs } from '../workflow/resolve-inputs.ts'
import type { StepWork } from '../workflow/step-work.ts'
import type { Workflow } from '../workflow/workflow.ts'
import { parseHandle } from './attempt-context.ts'
import { listWorkflowsAbove } from './list-workflows-above.ts'
import { loadWorkflow } from './load-workflow.ts'
import type { EngineDeps } from './ports.ts'
import { resolveHead } from './resolve-head.ts'
import { getPins } from './to-planner-state.ts'

/** The kinds of work that hold no sandbox: the step waits for a person, a time, a signal, an effect, a run. */
export type WaitingWork = Exclude<StepWork, { kind: 'agent' | 'run' | 'verify' }>

type Opening = {
  deps: EngineDeps
  proof: LeaseProof
  state: RunState
  workflow: Workflow
  instance: StepInstance
  signal: AbortSignal
}

/** Starts a step that waits, or ends it at once where there is nothing to wait for. */
export async function openStepWait(work: WaitingWork, opening: Opening): Promise<void> {
  const { deps, proof, instance } = opening
  const { write } = deps.store
  const common = { ...proof, stepInstanceId: instance.id, deadlineAt: findDeadline(opening) }
  switch (work.kind) {
    case 'approve': {
      const deadlineAt = findDeadline(opening, work.deadlineMs)
      await write.openWait({ ...common, kind: 'approval', subject: work.prompt, deadlineAt })
      return
    }
    case 'wait':
      if ('signal' in work) await write.openWait({ ...common, kind: 'signal', subject: work.signal })
      else {
        const deadlineAt = deps.store.now() + work.forMs
        await write.openWait({ ...common, kind: 'timer', subject: instance.key, deadlineAt })
      }
      return
    case 'http': {
      const { kind: _, ...payload } = work
      const key = effectKey(instance, 'http_request')
      const effect = { key, kind: 'http_request' as const, payload: payload as JsonObject }
      await write.openWait({ ...common, kind: 'effect', subject: key, effect })
      return
    }
    case 'workflow':
      return await openChildRun(work, opening)
    case 'pull-request':
      return await openPullRequest(work, opening)
  }
}

/** When the wait expires: after the step's `timeout`, or sooner where its kind says so; `null`: never. */
function findDeadline(
  { deps, workflow, instance }: Opening,
  ownMs = Number.POSITIVE_INFINITY,
): number | null {
  const step = workflow.steps.find((candidate) => candidate.id === instance.stepId)
  const leftMs = Math.min(step?.timeoutMs ?? Number.POSITIVE_INFINITY, ownMs)
  return Number.isFinite(leftMs) ? deps.store.now() + leftMs : null
}

/** The same instance asks for the same effect, whoever holds the run and however often. */
function effectKey(instance: StepInstance, kind: string): string {
  return `${instance.runId}:${instance.key}:${instance.attemptCount}:${kind}`
}

async function fail(
  opening: Opening,
  reason: Parameters<typeof endReason>[0],
  detail: string,
): Promise<void> {
  await opening.deps.store.write.endStepInstance({
    ...opening.proof,
    stepInstanceId: opening.instance.id,
    status: 'failed',
    reason: endReason(reason),
    detail,
  })
}

function endReason(
  reason: 'no_change' | 'merge_conflict' | 'repository_missing' | 'workflow_invalid' | 'input_invalid',
) {
  return reason
}

async function openChildRun(
  work: Extract<WaitingWork, { kind: 'workflow' }>,
  opening: Opening,
): Promise<void> {
  const { deps, proof, state, workflow, instance, signal } = opening
  const [name = '', version] = work.workflow.split('@')
  const record = await deps.store.read.findWorkflow(version === undefined ? { name } : { name, version })
  if (record === undefined)
    return await fail(opening, 'workflow_invalid', `there is no workflow ${work.workflow}`)
  if (name === workflow.name) {
    return await fail(opening, 'workflow_invalid', `workflow ${name} cannot start itself`)
  }
  const above = await listWorkflowsAbove(deps.store.read, state.run)
  if (above.includes(name)) {
    const circle = [...above.slice(0, above.indexOf(name) + 1).toReversed(), workflow.name, name].join(' → ')
    return await fail(opening, 'workflow_invalid', `workflow ${name} would run itself: ${circle}`)
  }
  const child = await loadWorkflow(deps.store.read, record.id)
  if (!child.ok) return await fail(opening, 'workflow_invalid', child.detail)
  const inputs = resolveInputs(child.workflow, work.with)
  if (!inputs.ok) return await fail(opening, 'input_invalid', inputs.problems.join('; '))
  const head = await resolveHead(deps.forges, state, workflow, instance.stepId, signal)
  if (head.kind === 'conflict') return await fail(opening, 'merge_conflict', head.detail)
  const pins = getPins(state)
  await deps.store.write.openWait({
    ...proof,
    stepInstanceId: instance.id,
    deadlineAt: findDeadline(opening),
    kind: 'run',
    subject: `${record.name}@${record.version}`,
    child: {
      workflowId: record.id,
      workflow: `${record.name}@${record.version}`,
      inputs: inputs.inputs,
      pins: { ...pins, startCommit: head.kind === 'commit' ? head.commit : pins.startCommit },
    },
  })
}

/** What a pull request is made of is decided here, so that sending it twice sends the same. */
async function openPullRequest(
  work: Extract<WaitingWork, { kind: 'pull-request' }>,
  opening: Opening,
): Promise<void> {
  const { deps, proof, state, workflow, instance, signal } = opening
  const { ticket, project, run } = state
  const pins = getPins(state)
  const repository = deps.forges.find(project)
  const head = await resolveHead(deps.forges, state, workflow, instance.stepId, signal)
  if (head.kind === 'conflict') return await fail(opening, 'merge_conflict', head.detail)
  if (repository === undefined || head.kind === 'none' || pins.branch === null || pins.baseCommit === null) {
    return await fail(
      opening,
      'repository_missing',
      `project ${project.key} has no repository to propose a change to`,
    )
  }
  const mirror = await repository.forge.openMirror(repository.project, signal)
  const diff = await mirror.diff({ from: pins.baseCommit, to: head.commit, textBytesMax: 1 }, signal)
  if (diff.fileCount === 0) {
    return await fail(opening, 'no_change', 'the run changed nothing, so there is nothing to propose')
  }
  const key = effectKey(instance, 'publish_pull_request')
  await deps.store.write.openWait({
    ...proof,
    stepInstanceId: instance.id,
    deadlineAt: findDeadline(opening),
    kind: 'effect',
    subject: key,
    effect: {
      key,
      kind: 'publish_pull_request',
      payload: {
        projectId: project.id,
        projectKey: project.key,
        ticketId: ticket.id,
        runId: run.id,
        commit: head.commit,
        baseCommit: pins.baseCommit,
        branch: pins.branch,
        baseBranch: work.base ?? pins.baseBranch ?? project.defaultBranch,
        title: work.title ?? `${ticket.key}: ${ticket.title}`,
        body:
          (work.body ?? `${ticket.body}\n\n---\nTicket ${ticket.key}, run ${run.id}`) +
          describeFindings(state),
      },
    },
  })
}

/** What a reviewer should look at in the work of this run. */
function describeFindings(state: RunState): string {
  const findings = state.attempts.flatMap((attempt) => parseHandle(attempt.handle)?.findings ?? [])
  if (findings.length === 0) return ''
  return `\n\nWorth a look:\n${findings.map((finding) => `- ${finding}`).join('\n')}`
}
