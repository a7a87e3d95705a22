import type { RunId, TicketId } from '../domain/id.ts'
import type { EngineDeps } from '../engine/ports.ts'
import { SwarmEngine } from '../engine/swarm-engine.ts'
import type { Logger } from '../platform/log.ts'
import { SandboxError } from '../sandbox/contract.ts'
import type { Claim } from '../store/contract.ts'
import type { CoordinatorControl, HealthReport, ProbeSummary, RouteExplanation } from './control.ts'
import { Executor } from './executor.ts'
import { EventLoopMeter, reportHealth } from './health.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import { Poller } from './poller.ts'
import { Reconciler } from './reconciler.ts'
import { Reporter } from './reporter.ts'
import type { RouteRule } from './route-ticket.ts'
import { type TakeDeps, type TakeEnd, takeTicket } from './take-ticket.ts'
import { TrackerMirror, type TrackerMirrorSettings } from './tracker-mirror.ts'
import type { TrackerReport } from './tracker-report.ts'
import { Translator } from './translator.ts'

export type CoordinatorSettings = {
  readonly leaseTtlMs: number
  readonly pollIntervalMs: number
  /** How long leases and sandboxes outlive a coordinator that is drained, `ms` */
  readonly handOffMs: number
  readonly rules: readonly RouteRule[]
  readonly trackers: readonly (TrackerMirrorSettings & { readonly name: string })[]
}

/**
 * - `drain`: claims nothing more, leaves the running sandboxes to be adopted by the next start
 * - `wait`: claims nothing more, waits until every held run has ended, parked or was released
 * - `now`: like `drain`, without waiting for what is being recorded
 */
export type StopMode = 'drain' | 'wait' | 'now'

const PROBE_TIMEOUT_MS = 20_000
const EXPLAIN_TIMEOUT_MS = 60_000
/** For an outside agent, which waits for its answer */
const TAKE_TIMEOUT_MS = 20_000
const RECONCILE_INTERVAL_MS = 1_000
const SWEEP_INTERVAL_MS = 60_000

/** Polls, claims, translates, executes, reports; one on each host. Holds no decision of its own. */
export class Coordinator implements CoordinatorControl {
  readonly #deps: EngineDeps
  readonly #settings: CoordinatorSettings
  readonly #logger: Logger
  readonly #engine: SwarmEngine
  readonly #leases: LeaseKeeper
  readonly #translator: Translator
  readonly #executor: Executor
  readonly #poller: Poller
  readonly #reporter: Reporter
  readonly #reconciler: Reconciler
  readonly #mirrors: readonly TrackerMirror[]
  readonly #take: TakeDeps
  readonly #eventLoop = new EventLoopMeter()
  #probe: ProbeSummary
  #isDraining = false
  #stopped: Promise<void> | undefined

  constructor(deps: EngineDeps, settings: CoordinatorSettings) {
    const { store, logger } = deps
    const { holder, hostId, deadmanMs, runRetry } = deps.settings
    const { leaseTtlMs, pollIntervalMs } = settings
    this.#deps = deps
    this.#settings = settings
    this.#logger = logger
    this.#probe = toProbeSummary(deps, { ok: false, reason: 'not probed yet', fix: null })
    this.#engine = new SwarmEngine(deps)
    this.#leases = new LeaseKeeper({
      store,
      engine: this.#engine,
      stopRun: (runId, mode) => this.#executor.stop(runId, mode),
      settings: { holder, leaseTtlMs, deadmanMs },
      logger,
    })
    this.#translator = new Translator({
      store,
      forges: deps.forges,
      rules: settings.rules,
      runRetry,
      logger,
    })
    this.#take = { store, trackers: deps.trackers, logger, randomNumber: () => deps.random.number() }
    this.#executor = new Executor(
      {
        engine: this.#engine,
        translator: this.#translator,
        leases: this.#leases,
        take: this.#take,
        holder,
        logger,
      },
      { onFree: () => this.#poller.wake(), now: () => store.now() },
    )
    this.#poller = new Poller({
      store,
      executor: this.#executor,
      slots: this.#engine.slots,
      settings: { holder, leaseTtlMs, pollIntervalMs },
      logger,
    })
    this.#reporter = new Reporter({ deps, pollIntervalMs })
    this.#reconciler = new Reconciler({
      store,
      driver: deps.sandboxes.driver,
      settings: {
        hostId,
        holder,
        stateDir: deps.settings.stateDir,
        runCountMax: runRetry.runCountMax,
        retryDelayMs: runRetry.backoffMs,
        intervalMs: RECONCILE_INTERVAL_MS,
        sweepIntervalMs: SWEEP_INTERVAL_MS,
      },
      logger,
      heldRunIds: () => this.#executor.heldRunIds,
    })
    this.#mirrors = settings.trackers.map(({ name, ...mirror }) => {
      const tracker = deps.trackers.find(name)
      if (tracker === undefined) throw new Error(`there is no tracker ${name}`)
      const cancelRun = (runId: RunId) => this.cancelRun(runId)
      return new TrackerMirror({ store, tracker, settings: mirror, logger, cancelRun })
    })
  }

  /**
   * Takes over what processes before this one left, then begins to claim.
   * @throws SandboxError `sandbox_unavailable` when the configured driver does not work here; there is no fall-back
   */
  async start(): Promise<void> {
    const { driver } = this.#deps.sandboxes
    const probe = await driver.probe(AbortSignal.timeout(PROBE_TIMEOUT_MS))
    this.#probe = toProbeSummary(this.#deps, probe.ok ? { ok: true, reason: null, fix: null } : probe)
    if (!probe.ok) {
      throw new SandboxError('sandbox_unavailable', `sandbox driver ${driver.name}: ${probe.reason}`, {
        fix: probe.fix,
      })
    }
    if (driver.capabilities.isolation === 'none') {
      this.#logger.warn(
        { driver: driver.name },
        'NO ISOLATION: agents run as this user, with its files and network',
      )
    }
    for (const warning of probe.warnings) this.#logger.warn({ driver: driver.name }, warning)
    this.#eventLoop.start()
    await this.#reconciler.recover()
    this.#deps.sandboxes.warm?.start()
    this.#leases.start()
    this.#reconciler.start()
    this.#reporter.start()
    this.#poller.start()
    for (const mirror of this.#mirrors) mirror.start()
    this.#logger.info(
      { holder: this.#deps.settings.holder, slots: this.#engine.slots.total },
      'coordinator started',
    )
  }

  wake(): void {
    this.#poller.wake()
  }

  cancelRun(runId: RunId): void {
    this.#executor.stop(runId, 'cancel')
  }

  listTrackers(): readonly TrackerReport[] {
    return this.#mirrors.map(({ report }) => report)
  }

  async takeTicket(claim: Claim): Promise<TakeEnd> {
    const { run } = claim
    const proof = { runId: run.id, holder: run.lease.holder ?? '', epoch: run.lease.epoch }
    return await takeTicket(this.#take, claim, proof, AbortSignal.timeout(TAKE_TIMEOUT_MS))
  }

  /** Removes sandboxes that nobody drives, with all that belongs to them. */
  async sweepSandboxes(): Promise<void> {
    await this.#reconciler.sweep()
  }

  async explainRoute(ticketId: TicketId): Promise<RouteExplanation> {
    return await this.#translator.explain(ticketId, AbortSignal.timeout(EXPLAIN_TIMEOUT_MS))
  }

  async health(): Promise<HealthReport> {
    const { slots } = this.#engine
    return await reportHealth({
      store: this.#deps.store,
      probe: this.#probe,
      isDraining: this.#isDraining,
      slotCount: slots.total,
      heldRunCount: this.#leases.heldRunCount,
      lastClaimAt: this.#poller.lastClaimAt,
      lastRenewalAt: this.#leases.lastRenewalAt,
      lastCompletionAt: this.#executor.lastCompletionAt,
      lastPollAt: this.#poller.lastPollAt,
      lastTickAt: this.#reconciler.lastTickAt,
      pollIntervalMs: this.#settings.pollIntervalMs,
      eventLoop: this.#eventLoop,
      trackers: this.listTrackers(),
    })
  }

  async drain({ wait, signal }: { wait: boolean; signal?: AbortSignal }): Promise<void> {
    this.#isDraining = true
    await this.#poller.stop()
    if (!wait) return
    const aborted = new Promise<void>((resolve) =>
      signal?.addEventListener('abort', () => resolve(), { once: true }),
    )
    await Promise.race([this.#executor.settle(), aborted])
  }

  /** Ends every loop. May be called again with a more urgent mode; the store is the caller's to close. */
  async stop(mode: StopMode): Promise<void> {
    this.#stopped ??= this.#stop(mode)
    // A `wait` in progress is cut short by a second, more urgent stop.
    if (mode === 'now') this.#detach()
    await this.#stopped
  }

  async #stop(mode: StopMode): Promise<void> {
    await this.drain({ wait: mode === 'wait' })
    if (mode === 'drain') await this.#tryAtEnd('leases not prolonged', () => this.#handOff())
    this.#detach()
    await this.#executor.settle()
    await Promise.all(this.#mirrors.map((mirror) => mirror.stop()))
    await this.#reporter.stop()
    this.#leases.stop()
    await this.#reconciler.stop()
    await this.#deps.sandboxes.warm?.stop()
    this.#eventLoop.stop()
    const { hostId } = this.#deps.settings
    await this.#tryAtEnd('end not recorded', () => this.#deps.store.write.stopHost({ hostId }))
    this.#logger.info({ mode }, 'coordinator stopped')
  }

  async #handOff(): Promise<void> {
    await this.#leases.handOff(this.#settings.handOffMs)
  }

  /** A store that fails now must not keep the process from ending: the next start finds what was not recorded. */
  async #tryAtEnd(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#logger.error({ err: error }, what)
    }
  }

  #detach(): void {
    for (const runId of this.#executor.heldRunIds) this.#executor.stop(runId, 'detach')
  }
}

function toProbeSummary(
  deps: EngineDeps,
  result: { ok: boolean; reason: string | null; fix: string | null },
): ProbeSummary {
  const { name, capabilities } = deps.sandboxes.driver
  const { ok, reason, fix } = result
  const limits = capabilities.isolation === 'fake' ? 'none' : capabilities.limits
  return { driver: name, ok, reason, fix, limits, isolation: capabilities.isolation }
}
