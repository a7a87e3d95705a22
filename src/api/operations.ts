import type { ApiDeps } from './api.ts'
import { listEvents } from './events/list-events.ts'
import { checkLive } from './health/check-live.ts'
import { checkReady } from './health/check-ready.ts'
import { getHealth } from './health/get-health.ts'
import { getMetrics } from './health/get-metrics.ts'
import { getVersion } from './health/get-version.ts'
import { collectGarbage } from './maintenance/collect-garbage.ts'
import { createBackup } from './maintenance/create-backup.ts'
import type { ApiOperation } from './operation.ts'
import { createProject } from './projects/create-project.ts'
import { getProject } from './projects/get-project.ts'
import { listProjects } from './projects/list-projects.ts'
import { updateProject } from './projects/update-project.ts'
import { approvePullRequest } from './pull-requests/approve-pull-request.ts'
import { closePullRequest } from './pull-requests/close-pull-request.ts'
import { getPullRequest } from './pull-requests/get-pull-request.ts'
import { getPullRequestDiff } from './pull-requests/get-pull-request-diff.ts'
import { listPullRequests } from './pull-requests/list-pull-requests.ts'
import { mergePullRequest } from './pull-requests/merge-pull-request.ts'
import { requestChanges } from './pull-requests/request-changes.ts'
import { getAgent } from './registry/get-agent.ts'
import { getWorkflow } from './registry/get-workflow.ts'
import { listAgents } from './registry/list-agents.ts'
import { listWorkflows } from './registry/list-workflows.ts'
import { registerAgent } from './registry/register-agent.ts'
import { registerWorkflow } from './registry/register-workflow.ts'
import { validateAgent } from './registry/validate-agent.ts'
import { validateWorkflow } from './registry/validate-workflow.ts'
import { answerRun } from './runs/answer-run.ts'
import { approveRun } from './runs/approve-run.ts'
import { cancelRun } from './runs/cancel-run.ts'
import { completeRun } from './runs/complete-run.ts'
import { downloadArtifact } from './runs/download-artifact.ts'
import { failRun } from './runs/fail-run.ts'
import { getRun } from './runs/get-run.ts'
import { heartbeatRun } from './runs/heartbeat-run.ts'
import { listArtifacts } from './runs/list-artifacts.ts'
import { listLogs } from './runs/list-logs.ts'
import { listRuns } from './runs/list-runs.ts'
import { progressRun } from './runs/progress-run.ts'
import { readLog } from './runs/read-log.ts'
import { rejectRun } from './runs/reject-run.ts'
import { releaseRun } from './runs/release-run.ts'
import { sendSignal } from './runs/send-signal.ts'
import { cancelTicket } from './tickets/cancel-ticket.ts'
import { claimNextTicket } from './tickets/claim-next-ticket.ts'
import { claimTicket } from './tickets/claim-ticket.ts'
import { createComment } from './tickets/create-comment.ts'
import { createTicket } from './tickets/create-ticket.ts'
import { explainTicket } from './tickets/explain-ticket.ts'
import { getTicket } from './tickets/get-ticket.ts'
import { listComments } from './tickets/list-comments.ts'
import { listDependencies } from './tickets/list-dependencies.ts'
import { listTickets } from './tickets/list-tickets.ts'
import { retryTicket } from './tickets/retry-ticket.ts'
import { setDependencies } from './tickets/set-dependencies.ts'
import { updateTicket } from './tickets/update-ticket.ts'
import { createToken } from './tokens/create-token.ts'
import { listTokens } from './tokens/list-tokens.ts'
import { revokeToken } from './tokens/revoke-token.ts'
import { listTrackers } from './trackers/list-trackers.ts'

/**
 * Every operation of the API. A handler takes what it uses of `deps`.
 * @param ended aborts when the API closes: streams end
 */
export function listOperations(deps: ApiDeps, ended: AbortSignal): readonly ApiOperation[] {
  const registry = { registry: deps.registry }
  return [
    createTicket(deps),
    listTickets(deps),
    getTicket(deps),
    updateTicket(deps),
    cancelTicket(deps),
    retryTicket(deps),
    explainTicket(deps),
    createComment(deps),
    listComments(deps),
    listDependencies(deps),
    setDependencies(deps),
    claimNextTicket(deps),
    claimTicket(deps),

    createProject(),
    listProjects(deps),
    getProject(deps),
    updateProject(deps),

    listRuns(deps),
    getRun(deps),
    cancelRun(deps),
    approveRun(deps),
    rejectRun(deps),
    answerRun(deps),
    sendSignal(deps),
    listLogs(deps),
    readLog({ ...deps, ended }),
    listArtifacts(deps),
    downloadArtifact({ ...deps, ended }),
    heartbeatRun(deps),
    progressRun(deps),
    completeRun(deps),
    failRun(deps),
    releaseRun(deps),

    listPullRequests(deps),
    getPullRequest(deps),
    getPullRequestDiff(deps),
    approvePullRequest(deps),
    requestChanges(deps),
    mergePullRequest(deps),
    closePullRequest(deps),

    listEvents({ ...deps, ended }),

    listAgents(deps),
    getAgent(deps),
    registerAgent(registry),
    validateAgent(registry),
    listWorkflows(deps),
    getWorkflow(deps),
    registerWorkflow(registry),
    validateWorkflow(registry),

    listTrackers(deps),

    createToken(deps),
    listTokens(deps),
    revokeToken(deps),

    collectGarbage(deps),
    createBackup(deps),

    checkLive(deps),
    checkReady(deps),
    getHealth(deps),
    getVersion(deps),
    getMetrics(deps),
  ]
}
