/**
 * The store keeps tickets, runs, steps, attempts, leases, waits, effects and events.
 *
 * Rules for every implementation:
 * - One method of `StoreWriter` is one state change: one transaction, with its events written beside it. It
 *   happens whole or not at all, and survives a power cut once its promise has resolved.
 * - A method that takes a `LeaseProof` changes nothing and throws `LeaseLostError` unless the run is `running`
 *   under exactly that holder and epoch.
 * - An illegal move of a status throws `IllegalTransitionError`; the database refuses it too.
 * - Methods may be called concurrently from one process. Several processes share a PostgreSQL store, never a
 *   SQLite file (a second `open` is refused).
 * - A `StoreReader` cannot write. It may lag the writer by nothing: what a resolved write did is visible.
 * - Instants are `ms` since the epoch by the store's own clock.
 */
import type { Effect } from '../domain/effect.ts'
import type { EventType, SwarmEvent } from '../domain/event.ts'
import type { ExternalRef } from '../domain/external-ref.ts'
import type {
  AttemptId,
  EffectId,
  HostId,
  ProjectId,
  PullRequestId,
  RunId,
  SandboxId,
  StepInstanceId,
  TicketId,
  TokenId,
  WaitId,
  WorkflowId,
} from '../domain/id.ts'
import type { Json, JsonObject } from '../domain/json.ts'
import type { Project } from '../domain/project.ts'
import type { PullRequest, ReviewState } from '../domain/pull-request.ts'
import type { Reason } from '../domain/reason.ts'
import type {
  AgentRecord,
  Artifact,
  Comment,
  Host,
  SandboxEntry,
  Token,
  Usage,
  WorkflowRecord,
} from '../domain/records.ts'
import type { LeaseProof, Run } from '../domain/run.ts'
import type { PullRequestStatus, RunStatus, TicketStatus } from '../domain/status.ts'
import type { Attempt, AttemptPhase, Signal, StepInstance, Wait, WaitKind } from '../domain/step.ts'
import type { Ticket } from '../domain/ticket.ts'
import type {
  CancelTicketInput,
  Claim,
  ClaimInput,
  ClaimTicketInput,
  CreateProjectInput,
  CreateTicketInput,
  EffectOutcome,
  FailedAttempt,
  LeaseRenewal,
  MirrorResult,
  MirrorTicketsInput,
  NewArtifact,
  NewEffect,
  NewStepInstance,
  OpenExternalRef,
  OpenWaitInput,
  ReleaseRunInput,
  RunOutcome,
  TranslateRunInput,
  UpdateProjectInput,
  UpdateTicketInput,
  UpsertPullRequestInput,
  WaitResolution,
} from './inputs.ts'

export type * from './inputs.ts'

export type Store = {
  readonly read: StoreReader
  readonly write: StoreWriter
  /**
   * Calls back with the events of what is committed from now on: in order, each once, never one that may still be
   * taken back. On an exclusive store that is before the write resolves, one call for each commit. A shared store
   * tells the events of every process soon after their commit, several commits in one call where they come together,
   * and may begin with what another process committed just before;
   * what was committed while it could not be reached is told when it can. The listener must not throw and must not
   * wait. Returns the function that ends the subscription.
   */
  subscribe(listener: (events: readonly SwarmEvent[]) => void): () => void
  readonly capabilities: StoreCapabilities
  /** The store's clock */
  now(): number
  /** Copies the whole store, online and consistent, to a file or folder that does not exist yet. */
  backup(path: string): Promise<void>
  /** Waits for writes in flight, then gives everything back. May be called twice. */
  close(): Promise<void>
}

export type StoreCapabilities = {
  /** Whether one coordinator at most has it open: what another coordinator held, a dead one held */
  readonly isExclusive: boolean
}

// ---------------------------------------------------------------- writer

export type StoreWriter = {
  createProject(input: CreateProjectInput): Promise<Project>
  updateProject(input: UpdateProjectInput): Promise<Project>

  /**
   * Gives the ticket the next number of its project. `blocked` while a dependency is open. A dependency that
   * would close a cycle throws `DependencyCycleError`; one already failed or canceled flags the new ticket.
   */
  createTicket(input: CreateTicketInput): Promise<Ticket>
  updateTicket(input: UpdateTicketInput): Promise<Ticket>
  /**
   * Ends the ticket and its run. A run that a coordinator drives is only asked to end (`cancelRequestedAt`);
   * one that nobody holds, and one held by an outside agent, ends here, with its instances and waits.
   * Dependents are flagged. A terminal ticket is left as it is and given back.
   */
  cancelTicket(input: CancelTicketInput): Promise<Ticket>
  /** A person's requeue: failed or canceled → pending (or blocked); counts of runs begin anew. */
  retryTicket(input: { ticketId: TicketId; actor: string }): Promise<Ticket>
  addComment(input: { ticketId: TicketId; author: string; body: string }): Promise<Comment>

  /**
   * Brings a page of a tracker's open tickets into the store. What is unknown becomes a `pending` ticket of the
   * project, as old as it is there. One that nobody works on here takes over what changed there since. One that had
   * ended here although it was taken, or that somebody else had taken there, was put back: it is queued anew. All
   * others are left. Idempotent by (tracker, external identifier), also for two callers at once.
   */
  mirrorTickets(input: MirrorTicketsInput): Promise<readonly MirrorResult[]>

  /**
   * The best claimable work for a coordinator, in one conditional update: pending tickets and queued runs whose
   * `notBefore` has passed, by priority, then age of the ticket, then key. A ticket becomes `running` and gets
   * its run; the epoch grows by one. Nothing to do: `undefined`.
   */
  claimNext(input: ClaimInput): Promise<Claim | undefined>
  /**
   * For an outside agent: the run has the workflow `external`. By filters, a ticket that names another workflow is
   * passed over: it is a coordinator's. A named ticket that is not claimable throws `NotClaimableError` with its status.
   */
  claimTicket(input: ClaimTicketInput): Promise<Claim | undefined>
  /** Renews every named lease that is still ours, in one transaction, without events. */
  renewLeases(input: {
    holder: string
    leaseTtlMs: number
    runs: readonly { runId: RunId; epoch: number }[]
  }): Promise<LeaseRenewal>
  /**
   * Gives a run back to the queue: `running` → `queued`, not before `notBefore`. A run of an outside agent ends
   * as `canceled` instead and its ticket is `pending` again. When fewer than `openWaitCount` waits are open by now,
   * `notBefore` is out of date and the run may be claimed at once.
   */
  releaseRun(input: ReleaseRunInput): Promise<void>
  /**
   * Returns runs whose lease has passed: a coordinator's run is `queued` again, an outside agent's run is
   * `failed` with `lease_expired` and its ticket requeued at `retryAt` or, when `runCountMax` is reached, dead.
   */
  expireLeases(input: { runCountMax: number; retryDelayMs: number }): Promise<readonly RunId[]>
  /** Queues at once every run held by these holders, known to be dead. */
  takeOverRuns(input: { holders: readonly string[] }): Promise<readonly RunId[]>

  /** The mirrored ticket of this run is ours in its tracker now, and stands there under that word. */
  recordTake(input: LeaseProof & { word: string }): Promise<void>
  translateRun(input: TranslateRunInput): Promise<Run>
  /** A milestone of the run: an event, nothing else. */
  recordProgress(input: LeaseProof & { data: JsonObject; type?: EventType }): Promise<void>
  /**
   * `running` → `waiting`, the lease is given up, the ticket is `waiting` with the waits' reason (but
   * `running` while a child run of it is queued or runs). Only while an
   * open wait exists, and as many as the holder saw (`openWaitCount`): only holders open them, so fewer means that
   * something resolved meanwhile. Then nothing changes and the answer is `false`: plan again.
   */
  parkRun(input: LeaseProof & { openWaitCount?: number }): Promise<boolean>
  /**
   * Ends the run with all that lives in it, moves its ticket, unblocks or flags dependents, revokes the run's tokens,
   * resolves a waiting parent. The same report again (proof and status) gives back what was recorded.
   */
  finishRun(input: LeaseProof & { outcome: RunOutcome }): Promise<{ run: Run; ticket: Ticket }>
  requestRunCancel(input: { runId: RunId; actor: string }): Promise<Run>

  /** Idempotent by (run, step, index): an instance that exists is left as it is. */
  createStepInstances(
    input: LeaseProof & { instances: readonly NewStepInstance[] },
  ): Promise<readonly StepInstance[]>
  /** The only place where attempts are counted. The instance must be `pending`. */
  startAttempt(
    input: LeaseProof & { stepInstanceId: StepInstanceId; inputs: JsonObject; baseCommit?: string | null },
  ): Promise<Attempt>
  /** Records what the next process needs to re-attach. */
  advanceAttempt(
    input: LeaseProof & {
      attemptId: AttemptId
      phase: AttemptPhase
      handle: JsonObject
      sandboxId?: SandboxId | null
    },
  ): Promise<void>
  /** Outputs, artifacts, statuses of attempt and instance, events: all in one. */
  succeedAttempt(
    input: LeaseProof & {
      attemptId: AttemptId
      outputs: JsonObject
      exitCode?: number | null
      resultCommit?: string | null
      artifacts?: readonly NewArtifact[]
      usage?: readonly Omit<Usage, 'runId' | 'stepInstanceId' | 'attempt' | 'createdAt'>[]
    },
  ): Promise<void>
  failAttempt(input: FailedAttempt): Promise<void>
  /** Ends an instance that has no live attempt. */
  endStepInstance(
    input: LeaseProof & {
      stepInstanceId: StepInstanceId
      status: 'succeeded' | 'failed' | 'skipped' | 'canceled'
      reason?: Reason
      detail?: string
      outputs?: JsonObject
    },
  ): Promise<void>
  /** The instance becomes `waiting`. A buffered signal of that name resolves a `signal` wait at once. */
  openWait(input: OpenWaitInput): Promise<Wait>
  /**
   * Ends the wait and its instance; a parked run is `queued` again and its ticket `running`. Not bound to a lease:
   * people, timers and effects call it. A wait that is resolved already throws `ConflictError`.
   */
  resolveWait(input: { waitId: WaitId; actor: string; resolution: WaitResolution }): Promise<Wait>
  /** Fires timers (they succeed) and expires approvals, questions and signals (`wait_expired`). */
  expireWaits(): Promise<readonly WaitId[]>
  /** Kept until a `wait` step asks for it. */
  sendSignal(input: { runId: RunId; name: string; payload: JsonObject; actor: string }): Promise<Signal>

  enqueueEffect(
    input: NewEffect & { ticketId: TicketId; runId?: RunId; stepInstanceId?: StepInstanceId; actor: string },
  ): Promise<Effect>
  /**
   * Due effects, oldest first; they become `sending`. Of a ticket at most one that is written back to its tracker is
   * under way, and at most one of all others.
   */
  claimEffects(input: { countMax: number; holder?: string }): Promise<readonly Effect[]>
  /**
   * What is `sending` and whose sender is gone may or may not have happened; it is `pending` again. Gone is who is not
   * the given holder and, where `silentMs` is given, the holder of no host that was seen within that time. Gives the
   * number of effects.
   */
  reclaimSendingEffects(input?: { holder: string; silentMs?: number }): Promise<number>
  completeEffect(input: { effectId: EffectId; outcome: EffectOutcome }): Promise<Effect>
  /**
   * With `retryAt` the effect is `pending` again; without it is `dead`, and what waited for it fails with the reason.
   * An effect of a step that waits for it no more is `dead` in any case, with the reason `parent_ended`. An effect
   * that another holder sends by now is left to that one.
   */
  failEffect(input: {
    effectId: EffectId
    holder?: string
    reason: Reason
    detail: string
    retryAt?: number
  }): Promise<Effect>

  /**
   * What was given up while a tracker's tickets were written back is sent again, after its configuration may have
   * been mended. Gives the number of them.
   */
  reviveWriteBacks(input: { tracker: string }): Promise<number>

  /** One open pull request per (project, forge, branch): a second call updates the first. */
  upsertPullRequest(input: UpsertPullRequestInput): Promise<PullRequest>
  /** `changes_requested` also puts the ticket back to `pending`, for a further run on the same branch. */
  reviewPullRequest(input: {
    pullRequestId: PullRequestId
    state: Exclude<ReviewState, 'none'>
    comment?: string
    actor: string
  }): Promise<PullRequest>

  createSandboxEntry(
    input: LeaseProof & Pick<SandboxEntry, 'id' | 'hostId' | 'driver' | 'stepInstanceId' | 'attemptId'>,
  ): Promise<SandboxEntry>
  /** Not bound to a lease: the reconciler says what it found. */
  markSandbox(input: {
    sandboxId: SandboxId
    status: 'ready' | 'stopping' | 'gone' | 'lost'
    reason?: Reason
  }): Promise<void>

  addUsage(input: Omit<Usage, 'createdAt'>): Promise<void>
  addArtifact(
    input: LeaseProof & NewArtifact & { stepInstanceId: StepInstanceId; attempt: number },
  ): Promise<Artifact>
  /** An event by itself: gateway requests, agent milestones. */
  recordEvents(
    input: readonly {
      type: EventType
      actor: string
      ticketId?: TicketId | null
      runId?: RunId | null
      stepInstanceId?: StepInstanceId | null
      attempt?: number | null
      data: JsonObject
    }[],
  ): Promise<void>

  /** The same name, version and digest again changes nothing; another digest throws `ConflictError`. */
  registerAgent(input: Omit<AgentRecord, 'id' | 'createdAt'> & { actor: string }): Promise<AgentRecord>
  registerWorkflow(
    input: Omit<WorkflowRecord, 'id' | 'createdAt'> & { actor: string },
  ): Promise<WorkflowRecord>

  registerHost(input: Pick<Host, 'name' | 'holder' | 'pid' | 'bootId' | 'slotCount'>): Promise<Host>
  touchHost(input: { hostId: HostId }): Promise<void>
  stopHost(input: { hostId: HostId }): Promise<void>

  /**
   * A run that has ended gets none: `ConflictError`.
   * @param secretHash SHA-256 of the secret, hex; the secret itself never reaches the store
   */
  createToken(
    input: Pick<Token, 'name' | 'scopes' | 'expiresAt'> & {
      secretHash: string
      runId?: RunId
      actor: string
    },
  ): Promise<Token>
  revokeToken(input: { tokenId: TokenId; actor: string }): Promise<void>
  touchToken(input: { tokenId: TokenId }): Promise<void>

  addAudit(input: { actor: string; action: string; subject: string; data: JsonObject }): Promise<void>

  /**
   * Retention: removes these events, but none of a ticket that has not ended. Notes the greatest place (`findPrunedSeq`).
   * Few at a time: other writes wait meanwhile.
   * @returns how many were removed
   */
  pruneEvents(input: { seqs: readonly number[] }): Promise<number>
  /**
   * Retention: removes what a run left beside itself: steps, attempts, waits, signals, sessions, sandboxes, names of
   * artifacts, sent effects, its tokens. Run, ticket, pull request stay, and what was spent as one row for each model.
   * Changes nothing unless run and ticket ended before that instant. At most `countMax` rows or so; not done: again.
   */
  pruneRun(input: {
    runId: RunId
    endedBefore: number
    countMax: number
  }): Promise<{ rowCount: number; isDone: boolean }>
  /**
   * Runs `work` in one transaction and keeps its answer under the key; the same key and fingerprint again gives the
   * kept answer, another fingerprint throws `IdempotencyError`. Keys are kept for a day at least.
   * NOTE: inside `work` only the given writer is used; what the store's own `write` would do has to wait for `work`.
   * A shared store may run `work` more than once; only the last time counts.
   */
  once<T extends Json>(
    input: { key: string; fingerprint: string },
    work: (write: Omit<StoreWriter, 'once'>) => Promise<T>,
  ): Promise<{ value: T; isReplay: boolean }>
}

// ---------------------------------------------------------------- reader

/** A page and where the next one begins. */
export type Page<T> = { readonly items: readonly T[]; readonly nextCursor: string | null }

export type TicketFilter = {
  readonly projectId?: ProjectId
  readonly statuses?: readonly TicketStatus[]
  readonly labels?: readonly string[]
  readonly types?: readonly string[]
  /** Words looked for in title and body */
  readonly text?: string
  readonly isDead?: boolean
  readonly cursor?: string
  readonly countMax?: number
}

/** Everything the dispatcher decides on. */
export type RunState = {
  readonly run: Run
  readonly ticket: Ticket
  readonly project: Project
  readonly instances: readonly StepInstance[]
  /** Newest attempt of each instance that has one */
  readonly attempts: readonly Attempt[]
  readonly openWaits: readonly Wait[]
}

/** Figures that health is derived from. */
export type StoreFigures = {
  readonly ticketCounts: Readonly<Record<TicketStatus, number>>
  readonly runCounts: Readonly<Record<RunStatus, number>>
  /** Age of the oldest ticket or run that could be claimed now, `ms`; absent when there is none */
  readonly oldestClaimableAgeMs: number | null
  /** Effects that were given up and whose ticket is not done or canceled since: they wait for a person */
  readonly deadEffectCount: number
  readonly pendingEffectCount: number
  readonly lastEventSeq: number
}

/** An ended run, for retention. */
export type EndedRun = {
  readonly runId: RunId
  readonly projectId: ProjectId
  /** When both it and its ticket had ended; `null`: one of them has not */
  readonly endedAt: number | null
}

export type StoreReader = {
  findProject(by: { projectId: ProjectId } | { key: string }): Promise<Project | undefined>
  listProjects(): Promise<readonly Project[]>

  findTicket(by: { ticketId: TicketId } | { key: string }): Promise<Ticket | undefined>
  listTickets(filter: TicketFilter): Promise<Page<Ticket>>
  listDependencies(ticketId: TicketId): Promise<readonly Ticket[]>
  listDependents(ticketId: TicketId): Promise<readonly Ticket[]>
  listComments(ticketId: TicketId): Promise<readonly Comment[]>

  findRun(runId: RunId): Promise<Run | undefined>
  listRuns(filter: {
    ticketId?: TicketId
    statuses?: readonly RunStatus[]
    cursor?: string
    countMax?: number
  }): Promise<Page<Run>>
  loadRunState(runId: RunId): Promise<RunState | undefined>
  listStepInstances(runId: RunId): Promise<readonly StepInstance[]>
  listAttempts(filter: { runId?: RunId; stepInstanceId?: StepInstanceId }): Promise<readonly Attempt[]>
  findAttempt(attemptId: AttemptId): Promise<Attempt | undefined>
  listOpenWaits(filter: { runId?: RunId; kinds?: readonly WaitKind[] }): Promise<readonly Wait[]>
  findWait(waitId: WaitId): Promise<Wait | undefined>
  /** Earliest instant at which something becomes claimable or due, for the poller's timer. */
  findNextDueAt(): Promise<number | undefined>

  findEffect(by: { effectId: EffectId } | { key: string }): Promise<Effect | undefined>
  listEffects(filter: {
    ticketId?: TicketId
    statuses?: readonly Effect['status'][]
  }): Promise<readonly Effect[]>

  /** Mirrored tickets of this tracker that are not ended, in the order of their names there. */
  listExternalRefs(filter: { tracker: string; cursor?: string }): Promise<Page<OpenExternalRef>>
  findExternalRef(
    by: { ticketId: TicketId } | { tracker: string; externalId: string },
  ): Promise<ExternalRef | undefined>

  /** Tickets whose tracker could not be told how they stand, the first of them: a person must mend it. */
  listUntoldTickets(filter: { tracker: string }): Promise<
    readonly {
      readonly ticketKey: string
      readonly externalId: string
      readonly ticketStatus: TicketStatus
      readonly reason: Reason | null
      readonly detail: string | null
    }[]
  >

  findPullRequest(
    /** By branch: the newest one, whatever its status */
    by:
      | { pullRequestId: PullRequestId }
      | { projectId: ProjectId; forge: string; branch: string }
      | { projectId: ProjectId; forge: string; number: number },
  ): Promise<PullRequest | undefined>
  listPullRequests(filter: {
    projectId?: ProjectId
    ticketId?: TicketId
    statuses?: readonly PullRequestStatus[]
    cursor?: string
    countMax?: number
  }): Promise<Page<PullRequest>>

  listSandboxEntries(filter: {
    hostId?: HostId
    runId?: RunId
    isLive?: boolean
  }): Promise<readonly SandboxEntry[]>
  listArtifacts(runId: RunId): Promise<readonly Artifact[]>
  listUsage(runId: RunId): Promise<readonly Usage[]>

  /** Events after `afterSeq`, in order and without a gap that could be filled later. */
  listEvents(filter: {
    afterSeq: number
    ticketId?: TicketId
    runId?: RunId
    types?: readonly EventType[]
    countMax?: number
  }): Promise<readonly SwarmEvent[]>

  /** Place up to which events may be missing; 0: none was ever removed */
  findPrunedSeq(): Promise<number>
  /**
   * The last place whose event may be removed, 0 for none: what is older than `before` or beyond the newest `countMax`,
   * never one of the newest `keepCount`.
   */
  findEventCut(filter: { before: number | null; countMax: number | null; keepCount: number }): Promise<number>
  /** Places after `afterSeq` up to `cutSeq` whose events are of no ticket or of one that has ended, in order. */
  listPrunableEvents(filter: {
    afterSeq: number
    cutSeq: number
    countMax: number
  }): Promise<readonly number[]>
  /** Runs for `pruneRun`, in the order of their identifiers. */
  listPrunableRuns(filter: {
    endedBefore: number
    afterRunId?: RunId
    countMax?: number
  }): Promise<readonly RunId[]>
  /** Of these runs those that exist; at most some hundreds at a time. */
  listRunEnds(filter: { runIds: readonly RunId[] }): Promise<readonly EndedRun[]>

  findAgent(by: { name: string; version?: string }): Promise<AgentRecord | undefined>
  listAgents(): Promise<readonly AgentRecord[]>
  findWorkflow(
    by: { workflowId: WorkflowId } | { name: string; version?: string },
  ): Promise<WorkflowRecord | undefined>
  listWorkflows(): Promise<readonly WorkflowRecord[]>

  listHosts(): Promise<readonly Host[]>
  findTokenByHash(secretHash: string): Promise<Token | undefined>
  listTokens(): Promise<readonly Token[]>
  getFigures(): Promise<StoreFigures>
}
