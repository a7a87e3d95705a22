import { setTimeout as delay } from 'node:timers/promises'
import type { RunId } from '../domain/id.ts'
import type { Project } from '../domain/project.ts'
import type { Logger } from '../platform/log.ts'
import type { MirroredTicket, OpenExternalRef, Store } from '../store/contract.ts'
import { type Tracker, TrackerError, type TrackerTicket } from '../tracker/contract.ts'
import { Absences } from './absences.ts'
import { cancel, compareWithTracker } from './compare-tracker.ts'
import { TrackerNotes, type TrackerReport } from './tracker-report.ts'

export type TrackerMirrorInput = {
  readonly store: Store
  readonly tracker: Tracker
  readonly settings: TrackerMirrorSettings
  readonly logger: Logger
  /** Tells the engine at once about a cancelation that is already in the store. */
  cancelRun(runId: RunId): void
}

export type TrackerMirrorSettings = {
  /** Key of the project that new tickets belong to */
  readonly project: string
  readonly pollIntervalMs: number
  /** Whether the configuration may name a workflow for its tickets; else the project has to */
  readonly mayNameWorkflow: boolean
}

const CALL_TIMEOUT_MS = 60_000
/** Tickets per transaction: a long one holds up leases */
const BATCH_COUNT = 50
/** Open tickets that are looked at in one pass; what is beyond comes up when these are done */
const OPEN_COUNT_MAX = 50_000
const BACKOFF_MAX_MS = 60_000
/** Looks that may fail before health says so: a file that is locked for a moment is none of its business */
const FAILURES_TOLERATED = 2
const LOGGED_COUNT_MAX = 1_000

/**
 * Keeps the store in line with one tracker: what stands open there becomes tickets, what is open here is compared
 * with what stands there. A board on which nothing happens costs one question per look.
 *
 * A look that fails half-way has done no harm: what it has mirrored is there, and what is absent is concluded from
 * whole looks only. Several coordinators may mirror the same tracker: every write can be repeated.
 */
export class TrackerMirror {
  readonly #input: TrackerMirrorInput
  readonly #logger: Logger
  readonly #stop = new AbortController()
  readonly #absences = new Absences()
  readonly #logged = new Set<string>()
  #loop: Promise<void> | undefined
  #revision: string | undefined
  #isRevived = false
  #report: TrackerReport

  constructor(input: TrackerMirrorInput) {
    this.#input = input
    const { tracker, settings, logger } = input
    this.#logger = logger.child({ tracker: tracker.name })
    this.#report = {
      name: tracker.name,
      kind: tracker.kind,
      project: settings.project,
      lastPollAt: null,
      problem: null,
      failureCount: 0,
      isOk: true,
      openThereCount: 0,
      openHereCount: 0,
      mirroredCount: 0,
      notes: [],
      noteCount: 0,
    }
  }

  get report(): TrackerReport {
    return this.#report
  }

  start(): void {
    this.#loop = this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#loop
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await this.poll()
      const { pollIntervalMs } = this.#input.settings
      const backoffMs = Math.min(
        pollIntervalMs * 2 ** Math.min(this.#report.failureCount, 20),
        BACKOFF_MAX_MS,
      )
      await delay(Math.max(pollIntervalMs, backoffMs), undefined, { signal }).catch(() => {})
    }
  }

  /** One look. Never throws: what went wrong is in the report. */
  async poll(): Promise<void> {
    const { store, tracker, settings } = this.#input
    try {
      const found = await store.read.findProject({ key: settings.project })
      const target = toTarget(found, settings, tracker.name)
      if (target.project === undefined) {
        this.#update({ failureCount: 0, problem: target.obstacle, isOk: false })
        this.#logOnce(target.obstacle)
        return
      }
      const problem = await this.#look(target.project)
      this.#update({ lastPollAt: store.now(), failureCount: 0, problem, isOk: problem === null })
      if (problem !== null) this.#logOnce(problem)
    } catch (error) {
      if (this.#stop.signal.aborted) return
      this.#fail(error)
    }
  }

  /** @returns what needs a person although everything could be read */
  async #look(project: Project): Promise<string | null> {
    const notes = new TrackerNotes()
    const pass = await this.#mirrorOpen(project, notes)
    if (pass === 'unchanged') {
      if (this.#absences.isEmpty) return null
      // Nothing changed there: what was missing is looked for once more, and nothing else.
      const refs = (await this.#listRefs()).filter(({ externalId }) => this.#absences.has(externalId))
      const { absent } = await this.#compare(refs, new TrackerNotes())
      return await this.#concludeAbsent(absent, this.#report.openHereCount)
    }
    const refs = await this.#listRefs()
    const { absent, isUnsettled } = await this.#compare(
      refs.filter(({ externalId }) => !pass.seen.has(externalId)),
      notes,
    )
    const problem = await this.#concludeAbsent(absent, refs.length)
    this.#update({
      openThereCount: pass.seen.size,
      openHereCount: refs.length,
      notes: notes.kept,
      noteCount: notes.count,
    })
    for (const note of notes.kept) this.#logNote(note)
    if (!this.#isRevived) await this.#revive()
    // Without it the next look is a whole one.
    this.#revision = pass.isUnsettled || isUnsettled || problem !== null ? undefined : pass.revision
    return problem
  }

  /** Page by page: what is read is mirrored and forgotten, but for its name. */
  async #mirrorOpen(
    project: Project,
    notes: TrackerNotes,
  ): Promise<
    'unchanged' | { seen: ReadonlySet<string>; revision: string | undefined; isUnsettled: boolean }
  > {
    const { store, tracker } = this.#input
    const seen = new Set<string>()
    let isUnsettled = false
    let revision: string | undefined
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const readAt = store.now()
      const page = await tracker.fetchByStates(
        {
          states: ['pending'],
          ...(cursor === undefined ? {} : { cursor }),
          ...(cursor === undefined && this.#revision !== undefined ? { unlessRevision: this.#revision } : {}),
        },
        this.#signal(),
      )
      if (page.kind === 'unchanged') return 'unchanged'
      if (cursor === undefined) revision = page.revision ?? undefined
      notes.add(...page.problems)
      for (const { externalId } of page.tickets) seen.add(externalId)
      isUnsettled = !(await this.#mirrorPage(project, page.tickets, readAt, notes)) || isUnsettled
      cursor = page.nextCursor
      if (cursor !== null && seen.size >= OPEN_COUNT_MAX) {
        notes.add(tooMany(seen.size))
        break
      }
    }
    return { seen, revision, isUnsettled }
  }

  /** @returns whether everything was settled */
  async #mirrorPage(
    project: Project,
    tickets: readonly TrackerTicket[],
    readAt: number,
    notes: TrackerNotes,
  ): Promise<boolean> {
    const { store, tracker } = this.#input
    let isSettled = true
    for (let at = 0; at < tickets.length; at += BATCH_COUNT) {
      this.#stop.signal.throwIfAborted()
      const results = await store.write.mirrorTickets({
        tracker: tracker.name,
        projectId: project.id,
        tickets: tickets.slice(at, at + BATCH_COUNT).map(toMirrored),
        readAt,
        actor: `tracker:${tracker.name}`,
      })
      for (const { kind, key, externalId } of results) {
        if (kind === 'held') isSettled = false
        if (kind === 'done_here') notes.add(doneHere(externalId, key))
      }
      const created = results.filter(({ kind }) => kind === 'created').length
      if (created > 0) this.#update({ mirroredCount: this.#report.mirroredCount + created })
    }
    return isSettled
  }

  async #listRefs(): Promise<readonly OpenExternalRef[]> {
    const { store, tracker } = this.#input
    const refs: OpenExternalRef[] = []
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await store.read.listExternalRefs({
        tracker: tracker.name,
        ...(cursor === undefined ? {} : { cursor }),
      })
      refs.push(...page.items)
      cursor = page.nextCursor
    }
    return refs
  }

  async #compare(refs: readonly OpenExternalRef[], notes: TrackerNotes) {
    return await compareWithTracker({ ...this.#input, notes }, refs, () => this.#signal())
  }

  /** @returns what a person must know when nothing may be concluded */
  async #concludeAbsent(absent: readonly OpenExternalRef[], openCount: number): Promise<string | null> {
    const { store, tracker } = this.#input
    const gone = this.#absences.note(
      absent.map(({ externalId }) => externalId),
      openCount,
      store.now(),
    )
    if (gone === 'mass') {
      return `${absent.length} of ${openCount} open tickets are not in the tracker any more: none is canceled; look whether it is the right file and table`
    }
    for (const ref of absent.filter(({ externalId }) => gone.includes(externalId))) {
      const detail = `it is not in tracker ${tracker.name} any more`
      await cancel(this.#input, ref, { reason: 'gone_from_tracker', detail })
      this.#logger.info({ ticket: ref.ticketKey, externalId: ref.externalId }, 'mirrored ticket is gone')
    }
    return null
  }

  /** What was given up before this start may have been mended with the configuration. */
  async #revive(): Promise<void> {
    const { store, tracker } = this.#input
    const count = await store.write.reviveWriteBacks({ tracker: tracker.name })
    if (count > 0) this.#logger.info({ count }, 'tickets to be written back once more')
    this.#isRevived = true
  }

  #fail(error: unknown): void {
    const failureCount = this.#report.failureCount + 1
    const problem = toProblem(error)
    const needsPerson = error instanceof TrackerError && error.code !== 'tracker_unavailable'
    this.#update({ problem, failureCount, isOk: !needsPerson && failureCount <= FAILURES_TOLERATED })
    if (error instanceof TrackerError) this.#logOnce(problem)
    else this.#logger.error({ err: error }, 'tracker not mirrored')
  }

  #update(changes: Partial<TrackerReport>): void {
    this.#report = { ...this.#report, ...changes }
  }

  #logNote({ externalId, problem, fix }: TrackerReport['notes'][number]): void {
    this.#logOnce(problem, { externalId, fix })
  }

  /** Each problem once, not at each look. */
  #logOnce(problem: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const key = JSON.stringify([problem, fields])
    if (this.#logged.has(key)) return
    if (this.#logged.size >= LOGGED_COUNT_MAX) this.#logged.clear()
    this.#logged.add(key)
    this.#logger.warn({ problem, ...fields }, 'tracker has a problem')
  }

  #signal(): AbortSignal {
    return AbortSignal.any([this.#stop.signal, AbortSignal.timeout(CALL_TIMEOUT_MS)])
  }
}

type Target =
  | { readonly project: Project }
  | { readonly project?: undefined /** Why nothing is mirrored */; readonly obstacle: string }

/** Tickets that nothing can route would only fail, each in its row: then the table is left as it is. */
function toTarget(
  project: Project | undefined,
  { project: key, mayNameWorkflow }: TrackerMirrorSettings,
  name: string,
): Target {
  if (project === undefined) {
    return { obstacle: `there is no project ${key}: create it with "swarm project create ${key}"` }
  }
  // A repository may name its own default.
  if (mayNameWorkflow || project.defaultWorkflow !== null || project.repositoryUrl !== null)
    return { project }
  return {
    obstacle: `nothing says which workflow does its tickets, so none is mirrored: set trackers.${name}.workflow, add a rule, or give the project a default with "swarm project edit ${key} --workflow …"`,
  }
}

function toMirrored({ status: _status, ...ticket }: TrackerTicket): MirroredTicket {
  return ticket
}

function toProblem(error: unknown): string {
  if (error instanceof TrackerError && error.fix !== null) return `${error.message}; ${error.fix}`
  return error instanceof Error ? error.message : String(error)
}

function doneHere(externalId: string, key: string) {
  return {
    externalId,
    severity: 'note',
    problem: `it was put back there, but is done here as ${key}: what is done is not begun anew`,
    fix: 'make a new ticket there',
  } as const
}

function tooMany(count: number) {
  return {
    externalId: null,
    severity: 'note',
    problem: `more than ${count} tickets are open there; the others are mirrored when these are done`,
    fix: null,
  } as const
}
