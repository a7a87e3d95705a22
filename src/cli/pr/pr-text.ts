import type { SwarmClient } from '../../client/client.ts'
import { CliError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { formatReason, formatSince, paintStatus } from '../format.ts'
import { showFields, showText } from '../show-fields.ts'
import { showOne } from '../show-one.ts'
import type { Column } from '../table.ts'

export type PullRequest = Awaited<ReturnType<SwarmClient['pullRequests']['get']>>
type Outcome = Awaited<ReturnType<SwarmClient['pullRequests']['merge']>>

/** Columns of a list of pull requests; the first is the name that commands take. */
export function pullRequestColumns(
  { output }: CliContext,
  { nowMs, projectKeys }: { readonly nowMs: number; readonly projectKeys: ReadonlyMap<string, string> },
): readonly Column<PullRequest>[] {
  return [
    { title: 'PR', value: ({ projectId, number }) => `${projectKeys.get(projectId) ?? ''}#${number}` },
    {
      title: 'STATUS',
      value: ({ status }) => status,
      paint: (text, { status }) => paintStatus(text, status, output.colors),
    },
    { title: 'REVIEW', value: ({ reviewState }) => formatReason(reviewState) },
    { title: 'DIFF', value: ({ additionCount, deletionCount }) => `+${additionCount} -${deletionCount}` },
    { title: 'TITLE', value: ({ title }) => title, isFlexible: true },
    { title: 'BRANCH', value: ({ branch }) => branch, isFlexible: true },
    { title: 'AGE', value: ({ createdAt }) => formatSince(createdAt, nowMs) },
  ]
}

/** Everything but the diff. */
export function showPullRequest({ output }: CliContext, found: PullRequest): void {
  output.line(
    output.colors.bold(`#${found.number}  ${paintStatus(found.status, found.status, output.colors)}`),
  )
  showFields(output, [
    ['title', found.title],
    ['id', found.id],
    ['review', formatReason(found.reviewState)],
    ['branch', `${found.branch} → ${found.baseBranch}`],
    ['forge', found.forge],
    ['url', found.url],
    ['head', found.headCommit],
    ['merged as', found.mergeCommit],
    ['diff', `+${found.additionCount} -${found.deletionCount} in ${found.changedFiles.length} files`],
    ['files', found.changedFiles.join(', ')],
    ['run', found.runId],
    ['created', found.createdAt],
    ['merged', found.mergedAt],
  ])
  showText(output, found.body)
}

/** A pull request after something was done to it. */
export function showPullRequestChange({ output }: CliContext, changed: PullRequest, did: string): void {
  showOne(output, changed, { id: ({ id }) => id, text: ({ number }) => output.line(`#${number} ${did}`) })
}

/**
 * What the forge said to a merge or close.
 * @throws CliError when it was not done, with the exit code that says why
 */
export function showOutcome({ output }: CliContext, outcome: Outcome, did: string): undefined {
  const { pullRequest, reason, detail } = outcome
  showOne(output, outcome, {
    id: () => pullRequest.id,
    text: () => {
      if (outcome.outcome === 'done') output.line(`#${pullRequest.number} ${did}`)
    },
  })
  if (outcome.outcome === 'done') return
  const why = [formatReason(reason), detail ?? ''].filter((word) => word !== '').join(': ')
  const message = `#${pullRequest.number} was not ${did}: ${why || outcome.outcome}`
  throw new CliError(toExitCode(outcome), message, { code: outcome.outcome, hint: toHint(outcome) })
}

function toExitCode({ outcome, reason }: Outcome): ExitCode {
  if (reason === 'merge_conflict') return EXIT.conflict
  if (outcome === 'refused') return EXIT.refused
  return outcome === 'pending' ? EXIT.timeout : EXIT.failed
}

function toHint({ outcome, reason, pullRequest }: Outcome): string | undefined {
  if (outcome === 'pending') return `the forge is slow; look again: swarm pr show ${pullRequest.id}`
  if (reason !== 'merge_conflict') return undefined
  return `send it back to the agent: swarm pr request-changes ${pullRequest.id} -m "Resolve the conflict"`
}
