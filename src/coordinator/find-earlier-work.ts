import { classOf } from '../domain/reason.ts'
import type { Run } from '../domain/run.ts'
import type { Ticket } from '../domain/ticket.ts'
import type { StoreReader } from '../store/contract.ts'

/** Runs looked back at */
const RUN_COUNT_MAX = 20
const FEEDBACK_CHARS_MAX = 20_000

/**
 * What a further run of a ticket goes on with: the head of its open pull request, or the work of a run that did
 * not pass its verification; and what was wrong with it, for the agent.
 */
export async function findEarlierWork(
  read: StoreReader,
  ticket: Ticket,
  runNumber: number,
): Promise<{ commit: string | null; feedback: string | null }> {
  if (runNumber <= 1) return { commit: null, feedback: null }
  const { items } = await read.listRuns({ ticketId: ticket.id, countMax: RUN_COUNT_MAX })
  const before = items
    .filter((run) => run.number < runNumber && run.parentStepInstanceId === null)
    .sort((a, b) => b.number - a.number)
  const last = before[0]
  if (last === undefined) return { commit: null, feedback: null }

  const pullRequest =
    ticket.pullRequestId === null
      ? undefined
      : await read.findPullRequest({ pullRequestId: ticket.pullRequestId })
  const isOpen = pullRequest?.status === 'open'
  const hasFailedChecks = last.reason !== null && classOf(last.reason) === 'verification'
  const failure = hasFailedChecks ? await describeFailure(read, last) : last.detail
  const feedback = [isOpen ? await findComments(read, ticket) : null, failure]
    .filter((part) => part !== null && part !== '')
    .join('\n\n')
  return {
    commit:
      (hasFailedChecks ? await findLastCommit(read, last) : null) ?? (isOpen ? pullRequest.headCommit : null),
    feedback: feedback === '' ? null : feedback,
  }
}

async function findLastCommit(read: StoreReader, run: Run): Promise<string | null> {
  const attempts = await read.listAttempts({ runId: run.id })
  const withCommit = attempts
    .filter((attempt) => attempt.status === 'succeeded' && attempt.resultCommit !== null)
    .sort((a, b) => (b.finishedAt ?? 0) - (a.finishedAt ?? 0))
  return withCommit[0]?.resultCommit ?? null
}

async function describeFailure(read: StoreReader, run: Run): Promise<string> {
  const instances = await read.listStepInstances(run.id)
  const failed = instances.filter((instance) => instance.status === 'failed')
  const parts = failed.map(
    (instance) => `Step ${instance.key} (${instance.reason}):\n${instance.detail ?? ''}`,
  )
  return [run.detail ?? '', ...parts].join('\n\n').trim().slice(0, FEEDBACK_CHARS_MAX)
}

async function findComments(read: StoreReader, ticket: Ticket): Promise<string | null> {
  const comments = await read.listComments(ticket.id)
  if (comments.length === 0) return null
  const text = comments.map((comment) => `${comment.author}:\n${comment.body}`).join('\n\n')
  return text.slice(-FEEDBACK_CHARS_MAX)
}
