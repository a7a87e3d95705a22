import type { PullRequestId, RunId } from '../domain/id.ts'
import { isId } from '../domain/id.ts'
import type { Project } from '../domain/project.ts'
import type { PullRequest } from '../domain/pull-request.ts'
import type { Run } from '../domain/run.ts'
import type { Ticket } from '../domain/ticket.ts'
import type { StoreReader } from '../store/contract.ts'
import { NotFoundError } from '../store/errors.ts'

/** @param ref key (`WEB-12`) or identifier */
export async function getTicket(read: Pick<StoreReader, 'findTicket'>, ref: string): Promise<Ticket> {
  const ticket = await read.findTicket(isId('ticket', ref) ? { ticketId: ref } : { key: ref })
  if (ticket === undefined) throw new NotFoundError('ticket', ref)
  return ticket
}

/** @param ref key (`WEB`) or identifier */
export async function getProject(read: Pick<StoreReader, 'findProject'>, ref: string): Promise<Project> {
  const project = await read.findProject(isId('project', ref) ? { projectId: ref } : { key: ref })
  if (project === undefined) throw new NotFoundError('project', JSON.stringify(ref))
  return project
}

export async function getRun(read: Pick<StoreReader, 'findRun'>, runId: RunId): Promise<Run> {
  const run = await read.findRun(runId)
  if (run === undefined) throw new NotFoundError('run', runId)
  return run
}

export async function getPullRequest(
  read: Pick<StoreReader, 'findPullRequest'>,
  pullRequestId: PullRequestId,
): Promise<PullRequest> {
  const pullRequest = await read.findPullRequest({ pullRequestId })
  if (pullRequest === undefined) throw new NotFoundError('pull request', pullRequestId)
  return pullRequest
}
