import type { StoreWriter } from '../contract.ts'
import type { Transact, Tx } from '../transaction.ts'
import { addArtifact } from './add-artifact.ts'
import { addAudit } from './add-audit.ts'
import { addComment } from './add-comment.ts'
import { addUsage } from './add-usage.ts'
import { advanceAttempt } from './advance-attempt.ts'
import { cancelTicket } from './cancel-ticket.ts'
import { claimEffects } from './claim-effects.ts'
import { claimNext } from './claim-next.ts'
import { claimTicket } from './claim-ticket.ts'
import { completeEffect } from './complete-effect.ts'
import { createProject } from './create-project.ts'
import { createSandboxEntry } from './create-sandbox-entry.ts'
import { createStepInstances } from './create-step-instances.ts'
import { createTicket } from './create-ticket.ts'
import { createToken } from './create-token.ts'
import { endStepInstance } from './end-step-instance.ts'
import { enqueueEffect } from './enqueue-effect.ts'
import { expireLeases } from './expire-leases.ts'
import { expireWaits } from './expire-waits.ts'
import { failAttempt } from './fail-attempt.ts'
import { failEffect } from './fail-effect.ts'
import { finishRun } from './finish-run.ts'
import { markSandbox } from './mark-sandbox.ts'
import { mirrorTickets } from './mirror-tickets.ts'
import { once } from './once.ts'
import { openWait } from './open-wait.ts'
import { parkRun } from './park-run.ts'
import { pruneEvents } from './prune-events.ts'
import { pruneRun } from './prune-run.ts'
import { reclaimSendingEffects } from './reclaim-sending-effects.ts'
import { recordEvents } from './record-events.ts'
import { recordProgress } from './record-progress.ts'
import { recordTake } from './record-take.ts'
import { registerAgent } from './register-agent.ts'
import { registerHost } from './register-host.ts'
import { registerWorkflow } from './register-workflow.ts'
import { releaseRun } from './release-run.ts'
import { renewLeases } from './renew-leases.ts'
import { requestRunCancel } from './request-run-cancel.ts'
import { resolveWait } from './resolve-wait.ts'
import { retryTicket } from './retry-ticket.ts'
import { reviewPullRequest } from './review-pull-request.ts'
import { reviveWriteBacks } from './revive-write-backs.ts'
import { revokeToken } from './revoke-token.ts'
import { sendSignal } from './send-signal.ts'
import { startAttempt } from './start-attempt.ts'
import { stopHost } from './stop-host.ts'
import { succeedAttempt } from './succeed-attempt.ts'
import { takeOverRuns } from './take-over-runs.ts'
import { touchHost } from './touch-host.ts'
import { touchToken } from './touch-token.ts'
import { translateRun } from './translate-run.ts'
import { updateProject } from './update-project.ts'
import { updateTicket } from './update-ticket.ts'
import { upsertPullRequest } from './upsert-pull-request.ts'

/** Every state change, in the contract's order; each is a function of a transaction and its input. */
const CHANGES = {
  createProject,
  updateProject,
  createTicket,
  updateTicket,
  cancelTicket,
  retryTicket,
  addComment,
  mirrorTickets,
  claimNext,
  claimTicket,
  renewLeases,
  releaseRun,
  expireLeases,
  takeOverRuns,
  recordTake,
  translateRun,
  recordProgress,
  parkRun,
  finishRun,
  requestRunCancel,
  createStepInstances,
  startAttempt,
  advanceAttempt,
  succeedAttempt,
  failAttempt,
  endStepInstance,
  openWait,
  resolveWait,
  expireWaits,
  sendSignal,
  enqueueEffect,
  claimEffects,
  reclaimSendingEffects,
  completeEffect,
  failEffect,
  reviveWriteBacks,
  upsertPullRequest,
  reviewPullRequest,
  createSandboxEntry,
  markSandbox,
  addUsage,
  addArtifact,
  recordEvents,
  registerAgent,
  registerWorkflow,
  registerHost,
  touchHost,
  stopHost,
  createToken,
  revokeToken,
  touchToken,
  addAudit,
  pruneEvents,
  pruneRun,
} satisfies { [Name in Exclude<keyof StoreWriter, 'once'>]: (tx: Tx, input: never) => Promise<unknown> }

type Changes = Omit<StoreWriter, 'once'>

/** The writer: each change in a transaction of its own, `once` around several. */
export function bindWriter(transact: Transact): StoreWriter {
  return {
    ...bindChanges(transact),
    once: async (input, work) =>
      await transact(async (tx) => await once(tx, input, async () => await work(bindChanges(within(tx))))),
  }
}

function bindChanges(transact: Transact): Changes {
  const bound = Object.entries(CHANGES).map(([name, change]) => [
    name,
    (input: never) => transact((tx) => (change as (tx: Tx, input: never) => Promise<unknown>)(tx, input)),
  ])
  // Each entry has the type of its change without the transaction, which `satisfies` above has checked.
  return Object.fromEntries(bound) as Changes
}

/** Changes inside a transaction that is open already: one after the other, each whole or not at all. */
function within(tx: Tx): Transact {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const next = last.then(() => tx.attempt(() => work(tx)))
    last = next.catch(() => undefined)
    return next
  }
}
