import type { Mirror } from '../forge/contract.ts'
import type { RunState } from '../store/contract.ts'
import type { Workflow } from '../workflow/workflow.ts'
import { findHeads } from './find-heads.ts'
import type { ForgeCatalogue } from './ports.ts'
import { getPins } from './to-planner-state.ts'

export type Head =
  | { readonly kind: 'none' }
  | { readonly kind: 'commit'; readonly commit: string }
  | { readonly kind: 'conflict'; readonly detail: string }

/**
 * The one commit that a step builds on. Work of steps side by side is merged in the mirror, in a fixed order, so
 * that the same question has the same answer; where it does not merge, that is an outcome.
 */
export async function resolveHead(
  forges: ForgeCatalogue,
  state: RunState,
  workflow: Workflow,
  stepId: string,
  signal: AbortSignal,
): Promise<Head> {
  const heads = findHeads({
    workflow,
    stepId,
    instances: state.instances,
    attempts: state.attempts,
    startCommit: getPins(state).startCommit,
  })
  const [first] = heads
  if (first === undefined) return { kind: 'none' }
  if (heads.length === 1) return { kind: 'commit', commit: first }
  const repository = forges.find(state.project)
  if (repository === undefined) return { kind: 'none' }
  const mirror = await repository.forge.openMirror(repository.project, signal)
  return await mergeHeads(mirror, await dropAncestors(mirror, heads, signal), state.run.id, signal)
}

/** Without those that another one contains already. */
async function dropAncestors(
  mirror: Mirror,
  heads: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const kept: string[] = []
  for (const head of heads) {
    const others = heads.filter((other) => other !== head)
    const contained = await Promise.all(others.map((other) => mirror.isAncestor(head, other, signal)))
    if (!contained.includes(true)) kept.push(head)
  }
  return kept
}

async function mergeHeads(
  mirror: Mirror,
  heads: readonly string[],
  runId: string,
  signal: AbortSignal,
): Promise<Head> {
  let merged = heads[0] as string
  for (const head of heads.slice(1)) {
    const outcome = await mirror.mergeCommits(
      { ours: merged, theirs: head, ref: mergeRef(runId, head) },
      signal,
    )
    if (outcome.kind === 'conflict') {
      return {
        kind: 'conflict',
        detail: `steps side by side changed the same lines of ${outcome.files.join(', ')}`,
      }
    }
    merged = outcome.commit
  }
  return { kind: 'commit', commit: merged }
}

function mergeRef(runId: string, head: string): string {
  return `refs/swarm/${runId}/merge/${head}`
}
