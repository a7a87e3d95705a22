import type { BodyInputOf } from '../rest-schema/operation.ts'
import type { completeRunSpec, progressRunSpec } from '../rest-schema/operations/runs.ts'
import { ApiError } from './api-error.ts'
import type { SwarmClient } from './client.ts'
import { insist } from './insist.ts'
import { keepLease } from './keep-lease.ts'
import { TicketFailed, toFailure } from './ticket-failed.ts'

/** A ticket that is ours for now, with its run and its lease */
export type ClaimedTicket = NonNullable<Awaited<ReturnType<SwarmClient['tickets']['claimNext']>>>
type Outputs = NonNullable<BodyInputOf<typeof completeRunSpec>['outputs']>
type Milestone = Pick<BodyInputOf<typeof progressRunSpec>, 'percent' | 'data'>

/** Tells a milestone. Never rejects: one that does not get through is dropped. */
export type TellProgress = (message: string, more?: Milestone) => Promise<void>

/**
 * Does one ticket and gives its outputs. Throw to fail it (`TicketFailed` says why in a word of the closed list).
 * Obey the signal: it aborts when the ticket is not ours any more, when somebody asked for the end, and when the
 * agent is to stop. What is thrown after that releases the ticket.
 */
export type Work = (
  claim: ClaimedTicket & { readonly signal: AbortSignal; readonly progress: TellProgress },
) => Promise<Outputs | undefined>

/** How the claim ended; `lost`: it was not ours any more, and nothing that we did counts */
export type WorkOutcome = 'done' | 'failed' | 'released' | 'lost'

export type WorkOnClaimInput = {
  readonly client: SwarmClient
  readonly claim: ClaimedTicket
  /** When the claim was sent, `ms` of `performance.now()` */
  readonly claimedAt: number
  readonly leaseTtlMs: number
  readonly work: Work
  /** The agent is to stop */
  readonly stop: AbortSignal
  /** Ends what is still being sent after the stop */
  readonly giveUp: AbortSignal
  /** How long the work may go on after its signal aborted, `ms` */
  readonly graceMs: number
  readonly onTrouble: (error: unknown) => void
}

type Result =
  | { readonly kind: 'outputs'; readonly outputs: Outputs }
  | { readonly kind: 'thrown'; readonly error: unknown }
  | { readonly kind: 'stuck' }

/**
 * Takes a claimed ticket to its end: keeps the lease while the work goes on, then reports until the server has
 * answered. Whether a report counts is the server's to say.
 * @throws Error when the work ignores its signal: beginning another ticket beside it would be wrong
 */
export async function workOnClaim(input: WorkOnClaimInput): Promise<WorkOutcome> {
  const { client, claim, stop } = input
  const { run, lease } = claim
  const proof = { holder: lease.holder, epoch: lease.epoch }
  const over = new AbortController()
  const halt = new AbortController()
  const keeping = keepLease({
    beat: (signal) => client.runs.heartbeat(run.id, { ...proof, leaseTtlMs: input.leaseTtlMs }, { signal }),
    leaseTtlMs: input.leaseTtlMs,
    claimedAt: input.claimedAt,
    signal: over.signal,
    onEnd: (reason) => halt.abort(reason),
  })
  try {
    const signal = AbortSignal.any([halt.signal, stop])
    const result = await settle(doWork(input, signal), signal, input.graceMs)
    const outcome = await report(input, result, signal)
    if (result.kind === 'stuck' && !stop.aborted) {
      throw new Error(`the work on ${claim.ticket.key} goes on though it was told to end`)
    }
    return outcome
  } finally {
    over.abort()
    await keeping
  }
}

async function doWork({ client, claim, work, onTrouble }: WorkOnClaimInput, signal: AbortSignal) {
  const { run, lease } = claim
  const progress: TellProgress = async (message, more = {}) => {
    const body = { holder: lease.holder, epoch: lease.epoch, message, ...more }
    await client.runs.progress(run.id, body, { signal }).catch(onTrouble)
  }
  try {
    // Told to stop while the claim was under way: nothing has begun.
    signal.throwIfAborted()
    const outputs = (await work({ ...claim, signal, progress })) ?? {}
    // What is no JSON is the work's mistake, not a trouble on the way.
    JSON.stringify(outputs)
    return { kind: 'outputs', outputs } as const
  } catch (error) {
    return { kind: 'thrown', error } as const
  }
}

/** The work's result, or `stuck` when it goes on for too long after its signal. */
async function settle(working: Promise<Result>, signal: AbortSignal, graceMs: number): Promise<Result> {
  const { promise: stuck, resolve } = Promise.withResolvers<Result>()
  let timer: ReturnType<typeof setTimeout> | undefined
  const count = () => {
    timer = setTimeout(() => resolve({ kind: 'stuck' }), graceMs)
  }
  if (signal.aborted) count()
  else signal.addEventListener('abort', count, { once: true })
  try {
    return await Promise.race([working, stuck])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', count)
  }
}

async function report(input: WorkOnClaimInput, result: Result, signal: AbortSignal): Promise<WorkOutcome> {
  try {
    if (result.kind === 'outputs') return await complete(input, result.outputs)
    if (result.kind === 'stuck' || signal.aborted) return await release(input)
    return await fail(input, result.error)
  } catch (error) {
    if (error instanceof ApiError && (error.status === 409 || error.status === 404)) return 'lost'
    throw error
  }
}

async function complete(input: WorkOnClaimInput, outputs: Outputs): Promise<WorkOutcome> {
  try {
    await send(input, 'complete', { outputs })
    return 'done'
  } catch (error) {
    if (!(error instanceof ApiError && [400, 413, 422].includes(error.status))) throw error
    const detail = `the outputs were refused: ${error.detail}`
    return await fail(input, new TicketFailed(detail, { reason: 'result_invalid' }))
  }
}

async function fail(input: WorkOnClaimInput, error: unknown): Promise<WorkOutcome> {
  await send(input, 'fail', toFailure(error))
  return 'failed'
}

async function release(input: WorkOnClaimInput): Promise<WorkOutcome> {
  await send(input, 'release', {})
  return 'released'
}

type Reports = Pick<SwarmClient['runs'], 'complete' | 'fail' | 'release'>

/** A report, until the server has answered it; the key makes it count once. */
async function send<Verb extends keyof Reports>(
  { client, claim, giveUp, onTrouble }: WorkOnClaimInput,
  verb: Verb,
  body: Omit<Parameters<Reports[Verb]>[1], 'holder' | 'epoch'>,
): Promise<void> {
  const { run, lease } = claim
  const call = client.runs[verb] as (
    runId: string,
    body: object,
    options: Parameters<Reports[Verb]>[2],
  ) => Promise<unknown>
  const whole = { holder: lease.holder, epoch: lease.epoch, ...body }
  const idempotencyKey = `${run.id}-${verb}`
  await insist((signal) => call(run.id, whole, { signal, idempotencyKey }), {
    signal: giveUp,
    giveUp,
    onTrouble,
  })
}
