import type { Reason } from '../domain/reason.ts'
import type { StepInstance } from '../domain/step.ts'
import type { RunState } from '../store/contract.ts'
import type { Workflow } from '../workflow/workflow.ts'
import type { SandboxWork } from './attempt-context.ts'
import type { EngineDeps } from './ports.ts'
import { resolveHead } from './resolve-head.ts'
import { getPins } from './to-planner-state.ts'

export type Base =
  | { readonly kind: 'commit'; readonly commit: string | null }
  | { readonly kind: 'refused'; readonly reason: Reason; readonly detail: string }

/**
 * The commit that an attempt's workspace holds. A verification is refused, never passed, when there is no
 * repository, no command or no change: nothing was verified then.
 */
export async function decideBase(
  work: SandboxWork,
  input: {
    deps: EngineDeps
    state: RunState
    workflow: Workflow
    instance: StepInstance
    signal: AbortSignal
  },
): Promise<Base> {
  const { deps, state, workflow, instance, signal } = input
  const head = await resolveHead(deps.forges, state, workflow, instance.stepId, signal)
  if (head.kind === 'conflict') return { kind: 'refused', reason: 'merge_conflict', detail: head.detail }
  const commit = head.kind === 'commit' ? head.commit : null
  if (work.kind !== 'verify') return { kind: 'commit', commit }

  const { baseCommit } = getPins(state)
  const repository = deps.forges.find(state.project)
  if (commit === null || baseCommit === null || repository === undefined) {
    return {
      kind: 'refused',
      reason: 'repository_missing',
      detail: `project ${state.project.key} has no repository, so nothing can be verified`,
    }
  }
  if (work.commands.length === 0) {
    return {
      kind: 'refused',
      reason: 'verification_error',
      detail: 'no check is declared, so nothing was verified',
    }
  }
  const mirror = await repository.forge.openMirror(repository.project, signal)
  const diff = await mirror.diff({ from: baseCommit, to: commit, textBytesMax: 1 }, signal)
  if (diff.fileCount > 0) return { kind: 'commit', commit }
  return { kind: 'refused', reason: 'no_change', detail: 'the run changed nothing, so nothing was verified' }
}
