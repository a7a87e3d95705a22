import type { Effect } from '../domain/effect.ts'
import type { Reason } from '../domain/reason.ts'
import { decideRetry, type RetryPolicy } from '../domain/retry.ts'
import { Bell } from '../engine/bell.ts'
import type { EngineDeps } from '../engine/ports.ts'
import { type EffectEnd, sendEffect } from '../engine/send-effect.ts'
import { isPassing, untilRecorded } from '../engine/until-recorded.ts'
import type { Logger } from '../platform/log.ts'
import type { EffectOutcome, Store } from '../store/contract.ts'
import { StoreError } from '../store/errors.ts'

/** `isFinal`: sending it again cannot help, whatever its reason says */
type FailedEffect = Extract<EffectEnd, { kind: 'failed' }> & { readonly isFinal?: boolean }

const SENDING_COUNT_MAX = 4
const EFFECT_TIMEOUT_MS = 10 * 60_000

/** Effects are cheap to repeat and dear to lose, so they are tried more often than steps. */
export const EFFECT_RETRY: RetryPolicy = {
  attemptCountMax: 6,
  backoffMs: 1_000,
  backoffMaxMs: 300_000,
  on: ['infrastructure', 'agent', 'model', 'timeout'],
}

/** How a ticket stands is told until its tracker has taken it: more than three days of a file that is locked or away. */
const WRITE_BACK_ATTEMPT_COUNT_MAX = 1_000

/**
 * Empties the outbox: what the store decided is carried to the outside world and its outcome recorded. At most one
 * effect of a ticket is under way at a time, in the order in which they were decided.
 */
export class Reporter {
  readonly #store: Store
  readonly #deps: EngineDeps
  readonly #logger: Logger
  readonly #pollIntervalMs: number
  readonly #retry: RetryPolicy
  readonly #bell = new Bell()
  readonly #stop = new AbortController()
  readonly #sending = new Map<Promise<void>, { effect: Effect; unwanted: AbortController }>()
  #loop: Promise<void> | undefined
  #unsubscribe: (() => void) | undefined

  constructor(input: { deps: EngineDeps; pollIntervalMs: number; retry?: RetryPolicy }) {
    this.#deps = input.deps
    this.#store = input.deps.store
    this.#logger = input.deps.logger
    this.#pollIntervalMs = input.pollIntervalMs
    this.#retry = input.retry ?? EFFECT_RETRY
  }

  start(): void {
    this.#unsubscribe = this.#store.subscribe((events) => {
      if (events.some((event) => event.type.startsWith('effect.'))) this.#bell.ring()
      for (const { type, stepInstanceId } of events) {
        if (type === 'step.canceled' || type === 'wait.expired') this.#abandon(stepInstanceId)
      }
    })
    this.#loop = this.#run()
  }

  /** Stops what is being sent; it is pending again for the next process, which finds what had happened. */
  async stop(): Promise<void> {
    this.#unsubscribe?.()
    this.#stop.abort()
    this.#bell.ring()
    await this.#loop
    await Promise.all(this.#sending.keys())
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      let dueInMs = this.#pollIntervalMs
      try {
        const room = SENDING_COUNT_MAX - this.#sending.size
        const effects =
          room > 0
            ? await this.#store.write.claimEffects({ countMax: room, holder: this.#deps.settings.holder })
            : []
        for (const effect of effects) this.#begin(effect)
        const dueAt = await this.#store.read.findNextDueAt()
        if (dueAt !== undefined) dueInMs = Math.min(dueInMs, Math.max(20, dueAt - this.#store.now()))
      } catch (error) {
        this.#logger.error({ err: error }, 'outbox not read')
      }
      if (!this.#stop.signal.aborted) await this.#bell.wait({ timeoutMs: dueInMs })
    }
  }

  /** The step waits no more: what it had asked for is cut short, and not sent again. */
  #abandon(stepInstanceId: string | null): void {
    for (const { effect, unwanted } of this.#sending.values()) {
      if (effect.stepInstanceId !== null && effect.stepInstanceId === stepInstanceId) unwanted.abort()
    }
  }

  #begin(effect: Effect): void {
    const unwanted = new AbortController()
    const sending = this.#send(effect, unwanted.signal)
      .catch((error) => {
        if (!this.#stop.signal.aborted)
          this.#logger.error({ err: error, effectId: effect.id }, 'effect not recorded')
      })
      .finally(() => {
        this.#sending.delete(sending)
        this.#bell.ring()
      })
    this.#sending.set(sending, { effect, unwanted })
  }

  async #send(effect: Effect, unwanted: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, unwanted, AbortSignal.timeout(EFFECT_TIMEOUT_MS)])
    const logger = this.#logger.child({ ticketId: effect.ticketId, runId: effect.runId, effectId: effect.id })
    const end = await this.#try(effect, signal, logger)
    if (end === undefined) return
    if (end.kind === 'done') {
      const detail = await this.#complete(effect, end.outcome, logger)
      if (detail === undefined) return
      await this.#fail(
        effect,
        { kind: 'failed', reason: reasonOfTrouble(effect), detail, isFinal: true },
        logger,
      )
    } else await this.#fail(effect, end, logger)
  }

  /**
   * What has happened outside is recorded however long that takes: the store may be in trouble for a while.
   * @returns why the store will never take it, when it will not
   */
  async #complete(effect: Effect, outcome: EffectOutcome, logger: Logger): Promise<string | undefined> {
    const complete = () => this.#store.write.completeEffect({ effectId: effect.id, outcome })
    try {
      await untilRecorded(complete, { signal: this.#stop.signal, logger })
      logger.info({ kind: effect.kind, outcome: outcome.kind }, 'effect sent')
      return undefined
    } catch (error) {
      if (!(error instanceof StoreError) || isPassing(error)) throw error
      logger.error({ err: error }, 'effect sent, but refused by the store')
      return `it was sent, but cannot be recorded: ${error.message}`
    }
  }

  async #fail(effect: Effect, end: FailedEffect, logger: Logger): Promise<void> {
    const { reason, detail } = end
    const decision = decideRetry({
      policy: toPolicy(this.#retry, effect),
      reason,
      attempt: effect.attemptCount,
      now: this.#store.now(),
      random: this.#deps.random.number(),
      ...(end.retryAfterMs === undefined ? {} : { retryAfterMs: end.retryAfterMs }),
    })
    logger.warn({ kind: effect.kind, reason, detail, decision: decision.kind }, 'effect failed')
    const retry = decision.kind === 'retry' && end.isFinal !== true ? { retryAt: decision.notBefore } : {}
    const { holder } = this.#deps.settings
    const fail = () => this.#store.write.failEffect({ effectId: effect.id, holder, reason, detail, ...retry })
    await untilRecorded(fail, { signal: this.#stop.signal, logger })
  }

  /** `undefined`: this process ends; the effect is sent again by the next one. */
  async #try(effect: Effect, signal: AbortSignal, logger: Logger): Promise<EffectEnd | undefined> {
    try {
      return await sendEffect(this.#deps, effect, signal)
    } catch (error) {
      if (this.#stop.signal.aborted) return undefined
      if (signal.aborted) return { kind: 'failed', reason: 'timed_out', detail: 'it did not end in its time' }
      logger.error({ err: error }, 'effect ended by a mistake in Swarm')
      const detail = error instanceof Error ? error.message : String(error)
      return { kind: 'failed', reason: reasonOfTrouble(effect), detail: `internal error: ${detail}` }
    }
  }
}

function toPolicy(retry: RetryPolicy, { kind }: Effect): RetryPolicy {
  if (kind !== 'write_back_ticket') return retry
  return { ...retry, attemptCountMax: WRITE_BACK_ATTEMPT_COUNT_MAX }
}

function reasonOfTrouble({ kind }: Effect): Reason {
  return kind === 'write_back_ticket' ? 'tracker_failed' : 'forge_failed'
}
