import type { Effect } from '../../domain/effect.ts'
import type { PullRequestId } from '../../domain/id.ts'
import type { PullRequest } from '../../domain/pull-request.ts'
import { isTerminal } from '../../domain/status.ts'
import type { EffectOutcomeBody } from '../../rest-schema/pull-request.ts'
import type { Store } from '../../store/contract.ts'
import { getPullRequest } from '../find-by-ref.ts'
import { ApiProblem } from '../problem.ts'
import { toPullRequestBody } from '../pull-request-body.ts'
import { waitForEffect } from './wait-for-effect.ts'

export type AskForgeDeps = { readonly store: Store; readonly control: { wake(): void } }

export type AskForgeRequest = {
  readonly pullRequestId: PullRequestId
  readonly kind: 'merge_pull_request' | 'close_pull_request'
  /** Status of the pull request when it went well */
  readonly end: 'merged' | 'closed'
  readonly waitMs: number
  readonly actor: string
  readonly signal: AbortSignal
}

type Answer = { readonly status: 200 | 202; readonly body: EffectOutcomeBody }

/**
 * Puts the wish into the outbox and waits for its outcome. While one is under way the same one is waited for; after
 * a refusal or a failure a new one begins, because a person asks again for a reason.
 */
export async function askForge(deps: AskForgeDeps, request: AskForgeRequest): Promise<Answer> {
  const { store, control } = deps
  const { pullRequestId, kind, end, waitMs, actor, signal } = request
  const pullRequest = await getPullRequest(store.read, pullRequestId)
  if (pullRequest.status === end) return { status: 200, body: toOutcomeBody(pullRequest, undefined, end) }
  if (pullRequest.status !== 'open') {
    throw new ApiProblem(409, 'conflict', `pull request ${pullRequestId} is ${pullRequest.status} already`)
  }
  const effect = await store.write.enqueueEffect({
    key: await toEffectKey(store, pullRequest, kind),
    kind,
    payload: { pullRequestId, actor },
    ticketId: pullRequest.ticketId,
    runId: pullRequest.runId,
    actor,
  })
  control.wake()
  const settled = await waitForEffect(store, effect, { timeoutMs: waitMs, signal })
  const body = toOutcomeBody(await getPullRequest(store.read, pullRequestId), settled, end)
  return { status: body.outcome === 'pending' ? 202 : 200, body }
}

/** Two who ask at once get the same key, so the same effect. */
async function toEffectKey(store: Pick<Store, 'read'>, pullRequest: PullRequest, kind: Effect['kind']) {
  const effects = await store.read.listEffects({ ticketId: pullRequest.ticketId })
  const ended = effects.filter(
    (effect) =>
      effect.kind === kind &&
      effect.payload.pullRequestId === pullRequest.id &&
      isTerminal('effect', effect.status),
  )
  return `${kind}:${pullRequest.id}:${ended.length + 1}`
}

function toOutcomeBody(
  pullRequest: PullRequest,
  effect: Effect | undefined,
  end: 'merged' | 'closed',
): EffectOutcomeBody {
  return {
    outcome: pullRequest.status === end ? 'done' : toOutcome(effect),
    effectId: effect?.id ?? null,
    reason: effect?.reason ?? null,
    detail: effect?.detail ?? null,
    pullRequest: toPullRequestBody(pullRequest),
  }
}

/** The pull request did not get there: an effect that is done was refused. */
function toOutcome(effect: Effect | undefined): EffectOutcomeBody['outcome'] {
  if (effect?.status === 'done') return 'refused'
  if (effect?.status === 'dead') return 'failed'
  return 'pending'
}
