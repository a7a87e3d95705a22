import type { Effect } from '../domain/effect.ts'
import type { ProjectId, PullRequestId, RunId, TicketId } from '../domain/id.ts'
import type { Reason } from '../domain/reason.ts'
import type { Forge, ForgeProject } from '../forge/contract.ts'
import { ForgeError } from '../forge/contract.ts'
import type { EffectOutcome } from '../store/contract.ts'
import type { EngineDeps } from './ports.ts'
import { sendHttpRequest } from './send-http-request.ts'
import { writeBackTicket } from './write-back-ticket.ts'

export type EffectEnd =
  | { readonly kind: 'done'; readonly outcome: EffectOutcome }
  /** Whether it is tried again follows from the reason's class */
  | {
      readonly kind: 'failed'
      readonly reason: Reason
      readonly detail: string
      readonly retryAfterMs?: number
    }

/**
 * Carries one effect out. It may have happened before (a crash between "done" and "recorded"), so every branch
 * finds what is there already: the branch by its name, the pull request by its branch, the merge by its head.
 */
export async function sendEffect(deps: EngineDeps, effect: Effect, signal: AbortSignal): Promise<EffectEnd> {
  try {
    switch (effect.kind) {
      case 'publish_pull_request':
        return await publish(deps, effect.payload as unknown as PublishPayload, signal)
      case 'merge_pull_request':
        return await merge(deps, effect.payload as unknown as PullRequestPayload, signal)
      case 'close_pull_request':
        return await close(deps, effect.payload as unknown as PullRequestPayload, signal)
      case 'http_request':
        return await sendHttpRequest(deps, effect, signal)
      case 'write_back_ticket':
        return await writeBackTicket(deps, effect.payload as unknown as WriteBackPayload, signal)
    }
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error
    return { kind: 'failed', reason: error.reason, detail: error.message }
  }
}

/** Written by `openPullRequest` of this folder. */
type PublishPayload = {
  projectId: ProjectId
  projectKey: string
  ticketId: TicketId
  runId: RunId
  commit: string
  baseCommit: string
  branch: string
  baseBranch: string
  title: string
  body: string
}

/** Written by the API when a person merges or closes. */
type PullRequestPayload = { pullRequestId: PullRequestId; actor: string }

/** Written by the store with the move of a mirrored ticket. */
type WriteBackPayload = { ticketId: TicketId }

async function publish(deps: EngineDeps, payload: PublishPayload, signal: AbortSignal): Promise<EffectEnd> {
  const found = await findRepository(deps, payload.projectId)
  if (found === undefined) return missing(payload.projectId)
  const { forge, project } = found
  const mirror = await forge.openMirror(project, signal)
  const pushed = await forge.pushBranch(
    { project, mirror, commit: payload.commit, branch: payload.branch },
    signal,
  )
  if (pushed.kind === 'rejected') return { ...pushed, kind: 'failed' }
  const result = { branch: payload.branch, commit: payload.commit }
  if (!forge.capabilities.pullRequests) {
    return {
      kind: 'done',
      outcome: { kind: 'pushed', ticketId: payload.ticketId, branch: payload.branch, result },
    }
  }
  const { ticketId, runId, branch, commit, baseBranch, title, body } = payload
  const opened = await forge.openOrUpdatePullRequest(
    { project, mirror, ticketId, runId, branch, commit, baseBranch, title, body },
    signal,
  )
  if (opened.kind === 'rejected') return { ...opened, kind: 'failed' }
  const { number, url } = opened.pullRequest
  const diff = await mirror.diff({ from: payload.baseCommit, to: commit }, signal)
  return {
    kind: 'done',
    outcome: {
      kind: 'pull_request',
      pullRequest: {
        projectId: payload.projectId,
        ticketId,
        runId,
        forge: forge.name,
        number,
        title,
        body,
        branch,
        baseBranch,
        headCommit: commit,
        baseCommit: payload.baseCommit,
        diff: diff.text,
        isDiffTruncated: diff.textTruncated,
        additionCount: diff.insertions,
        deletionCount: diff.deletions,
        changedFiles: diff.files.map((file) => file.path),
        url: url ?? null,
      },
      result: { ...result, number, url: url ?? `${forge.name}:${payload.projectKey}/${number}` },
    },
  }
}

async function merge(deps: EngineDeps, payload: PullRequestPayload, signal: AbortSignal): Promise<EffectEnd> {
  const found = await findPullRequest(deps, payload)
  if (found === undefined) return missing(payload.pullRequestId)
  const { forge, project, pullRequest } = found
  const mirror = await forge.ensureMirror(project, signal)
  const outcome = await forge.merge(
    {
      project,
      mirror,
      number: pullRequest.number,
      expectedHead: pullRequest.headCommit,
      actor: { name: payload.actor, email: 'swarm@localhost' },
    },
    signal,
  )
  const pullRequestId = pullRequest.id
  switch (outcome.kind) {
    case 'merged':
    case 'already-merged':
      return {
        kind: 'done',
        outcome: {
          kind: 'merged',
          pullRequestId,
          mergeCommit: outcome.commit,
          result: { kind: outcome.kind, commit: outcome.commit },
        },
      }
    case 'conflict':
      return {
        kind: 'done',
        outcome: {
          kind: 'merge_refused',
          pullRequestId,
          reason: 'merge_conflict',
          detail: outcome.detail,
          result: { kind: 'conflict', files: outcome.files },
        },
      }
    case 'rejected':
      if (outcome.reason === 'network_failed' || outcome.reason === 'forge_failed') {
        return { kind: 'failed', reason: outcome.reason, detail: outcome.detail }
      }
      return {
        kind: 'done',
        outcome: {
          kind: 'merge_refused',
          pullRequestId,
          reason: outcome.reason,
          detail: outcome.detail,
          result: { kind: 'rejected', reason: outcome.reason, detail: outcome.detail },
        },
      }
  }
}

async function close(deps: EngineDeps, payload: PullRequestPayload, signal: AbortSignal): Promise<EffectEnd> {
  const found = await findPullRequest(deps, payload)
  if (found === undefined) return missing(payload.pullRequestId)
  const { forge, project, pullRequest } = found
  const mirror = await forge.ensureMirror(project, signal)
  const closed = await forge.closePullRequest({ project, mirror, number: pullRequest.number }, signal)
  const pullRequestId = pullRequest.id
  if (closed.status !== 'merged') {
    return { kind: 'done', outcome: { kind: 'closed', pullRequestId, result: { kind: 'closed' } } }
  }
  // Somebody merged it where we did not see it: it cannot be closed any more.
  const mergeCommit = closed.mergedCommit ?? closed.headCommit
  const result = { kind: 'already-merged', commit: mergeCommit }
  return { kind: 'done', outcome: { kind: 'merged', pullRequestId, mergeCommit, result } }
}

async function findRepository(
  deps: EngineDeps,
  projectId: ProjectId,
): Promise<{ forge: Forge; project: ForgeProject } | undefined> {
  const project = await deps.store.read.findProject({ projectId })
  return project && deps.forges.find(project)
}

async function findPullRequest(deps: EngineDeps, { pullRequestId }: PullRequestPayload) {
  const pullRequest = await deps.store.read.findPullRequest({ pullRequestId })
  const found = pullRequest && (await findRepository(deps, pullRequest.projectId))
  return found && { ...found, pullRequest }
}

function missing(what: string): EffectEnd {
  return {
    kind: 'failed',
    reason: 'repository_missing',
    detail: `the repository of ${what} is not configured`,
  }
}
