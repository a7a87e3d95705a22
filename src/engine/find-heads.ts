import type { Attempt, StepInstance } from '../domain/step.ts'
import type { Workflow } from '../workflow/workflow.ts'

/**
 * The commits that a step builds on: for each need the commit that it brought home, or else what that need
 * built on itself. Without any, the commit that the run started from. Sorted, without duplicates; more than
 * one means that steps side by side changed the workspace and their work must be merged.
 * @param instances all instances of the run
 * @param attempts newest attempt of each instance
 */
export function findHeads(input: {
  readonly workflow: Workflow
  readonly stepId: string
  readonly instances: readonly StepInstance[]
  readonly attempts: readonly Attempt[]
  readonly startCommit: string | null
}): readonly string[] {
  const commitOf = new Map(input.attempts.map((attempt) => [attempt.stepInstanceId, attempt.resultCommit]))
  const needsOf = new Map(input.workflow.steps.map((step) => [step.id, step.needs]))

  const own = (stepId: string): string[] =>
    input.instances
      .filter((instance) => instance.stepId === stepId && instance.status === 'succeeded')
      .map((instance) => commitOf.get(instance.id) ?? toOutputCommit(instance))
      .filter((commit) => commit !== null)

  const behind = (stepId: string, seen: ReadonlySet<string>): string[] =>
    (needsOf.get(stepId) ?? []).flatMap((need) => {
      if (seen.has(need)) return []
      const commits = own(need)
      return commits.length > 0 ? commits : behind(need, new Set([...seen, need]))
    })

  const heads = [...new Set(behind(input.stepId, new Set()))].sort()
  if (heads.length > 0) return heads
  return input.startCommit === null ? [] : [input.startCommit]
}

/** A child run says in its outputs which commit it ended with. */
function toOutputCommit(instance: StepInstance): string | null {
  if (instance.kind !== 'workflow') return null
  const commit = instance.outputs?.commit
  return typeof commit === 'string' ? commit : null
}
