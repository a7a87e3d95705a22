/** What the store's writer is given and gives back; the contract itself is in `contract.ts`. */
import type { EffectKind } from '../domain/effect.ts'
import type { ExternalRef, ExternalStanding } from '../domain/external-ref.ts'
import type {
  AttemptId,
  ProjectId,
  PullRequestId,
  RunId,
  StepInstanceId,
  TicketId,
  WorkflowId,
} from '../domain/id.ts'
import type { JsonObject } from '../domain/json.ts'
import type { Project } from '../domain/project.ts'
import type { PullRequest } from '../domain/pull-request.ts'
import type { Reason } from '../domain/reason.ts'
import type { Artifact } from '../domain/records.ts'
import type { LeaseProof, Run, RunPins } from '../domain/run.ts'
import type { TicketStatus } from '../domain/status.ts'
import type { StepInstance, WaitKind } from '../domain/step.ts'
import type { Ticket } from '../domain/ticket.ts'

// ---------------------------------------------------------------- projects

export type CreateProjectInput = {
  readonly key: string
  readonly name: string
  readonly repositoryUrl?: string | null
  readonly forge?: string
  readonly defaultBranch?: string
  readonly defaultWorkflow?: string | null
  readonly settings?: JsonObject
  readonly actor: string
}

export type UpdateProjectInput = {
  readonly projectId: ProjectId
  /** Refused with `VersionConflictError` when the row has moved on */
  readonly expectedVersion?: number
  readonly changes: Partial<
    Pick<Project, 'name' | 'repositoryUrl' | 'forge' | 'defaultBranch' | 'defaultWorkflow' | 'settings'>
  >
  readonly actor: string
}

// ---------------------------------------------------------------- tickets

export type CreateTicketInput = {
  readonly projectId: ProjectId
  readonly title: string
  readonly body?: string
  readonly type?: string
  readonly labels?: readonly string[]
  readonly priority?: number
  readonly workflow?: string | null
  readonly agent?: string | null
  readonly inputs?: JsonObject
  readonly dependsOn?: readonly TicketId[]
  readonly notBefore?: number
  /** `draft` is not claimed until it is updated to `pending` */
  readonly isDraft?: boolean
  readonly actor: string
}

export type UpdateTicketInput = {
  readonly ticketId: TicketId
  readonly expectedVersion?: number
  readonly changes: Partial<
    Pick<
      Ticket,
      'title' | 'body' | 'type' | 'labels' | 'priority' | 'workflow' | 'agent' | 'inputs' | 'notBefore'
    >
  > & {
    /** Replaces all dependencies; refused while the ticket runs */
    readonly dependsOn?: readonly TicketId[]
    /** `pending` makes a draft claimable (`blocked` while a dependency is open); `draft` takes it back */
    readonly status?: 'pending' | 'draft'
  }
  readonly actor: string
}

export type CancelTicketInput = {
  readonly ticketId: TicketId
  readonly actor: string
  readonly detail?: string
  /** Absent: `canceled_by_person` */
  readonly reason?: Extract<Reason, 'canceled_by_person' | 'taken_elsewhere' | 'gone_from_tracker'>
  /** The tracker's word under which somebody else has the ticket there; nothing is written back to it then */
  readonly seenWord?: string
  /** Refused with `VersionConflictError` when the row has moved on */
  readonly expectedVersion?: number
}

// ---------------------------------------------------------------- tickets of trackers

/** A ticket that stands open in a tracker, checked and bounded by its adapter. */
export type MirroredTicket = Required<
  Pick<CreateTicketInput, 'title' | 'body' | 'type' | 'labels' | 'priority' | 'workflow' | 'agent' | 'inputs'>
> & {
  readonly externalId: string
  /** The tracker's own word for its state */
  readonly word: string
  /** `ms` since the epoch; `null` when the tracker does not say */
  readonly createdAt: number | null
}

export type MirrorTicketsInput = {
  readonly tracker: string
  /** The project that new ones belong to */
  readonly projectId: ProjectId
  readonly tickets: readonly MirroredTicket[]
  /** When the tracker was begun to be read, by the store's clock: what was done here since is not undone */
  readonly readAt: number
  readonly actor: string
}

export type MirrorResult = {
  readonly externalId: string
  readonly ticketId: TicketId
  readonly key: string
  /**
   * - `requeued`: it had failed or was canceled here, and was put back there
   * - `held`: it stands open there although we hold it, or did something about it since it was read: to be settled
   * - `done_here`: it was put back there, but what is done is not begun anew
   */
  readonly kind: 'created' | 'updated' | 'requeued' | 'unchanged' | 'held' | 'done_here'
}

/** A mirrored ticket that is not ended, as it is compared with its tracker. */
export type OpenExternalRef = ExternalRef & {
  readonly ticketKey: string
  readonly ticketStatus: TicketStatus
  readonly ticketVersion: number
}

// ---------------------------------------------------------------- claims and leases

export type ClaimInput = {
  readonly holder: string
  readonly leaseTtlMs: number
}

/** What a coordinator holds after a claim. */
export type Claim = {
  /** `new`: a pending ticket was claimed and its run begins; `resumed`: a queued run goes on */
  readonly kind: 'new' | 'resumed'
  readonly run: Run
  readonly ticket: Ticket
}

export type ClaimTicketInput = ClaimInput & {
  /** Exactly this ticket; else the best pending one that fits the filters */
  readonly ticketId?: TicketId
  readonly projectId?: ProjectId
  readonly labels?: readonly string[]
  readonly types?: readonly string[]
}

export type LeaseRenewal = {
  /** Leases that are not ours any more; their sandboxes must be stopped */
  readonly lost: readonly RunId[]
  /** Runs whose cancelation was asked for */
  readonly cancelRequested: readonly RunId[]
}

// ---------------------------------------------------------------- runs and steps

export type TranslateRunInput = LeaseProof & {
  readonly workflowId: WorkflowId
  readonly workflow: string
  readonly inputs: JsonObject
  readonly pins: RunPins
}

export type NewStepInstance = Pick<StepInstance, 'stepId' | 'index' | 'key' | 'kind' | 'item'>

export type RunOutcome =
  | {
      readonly status: 'succeeded'
      readonly outputs: JsonObject
      /** `review`: the ticket waits for its pull request; it is `done` at once when that is merged already */
      readonly ticket: 'done' | 'review'
    }
  | {
      readonly status: 'failed'
      readonly reason: Reason
      readonly detail: string
      readonly outputs?: JsonObject
      /** `requeue`: a further run, not before that instant; `dead`: every retry used up; `fail`: no retry applies */
      readonly ticket:
        | { readonly kind: 'requeue'; readonly notBefore: number }
        | { readonly kind: 'fail' }
        | { readonly kind: 'dead' }
    }
  | {
      readonly status: 'canceled'
      readonly reason: Reason
      readonly detail: string
      /** The tracker's word under which somebody else has the ticket there */
      readonly seenWord?: string
    }

export type ReleaseRunInput = LeaseProof & {
  readonly notBefore?: number
  readonly detail?: string
  readonly openWaitCount?: number
  /** What its ticket says while the run waits in the queue; absent: nothing */
  readonly reason?: Reason
}

export type FailedAttempt = LeaseProof & {
  readonly attemptId: AttemptId
  readonly status: 'failed' | 'lost' | 'canceled'
  readonly reason: Reason
  readonly detail: string
  readonly exitCode?: number | null
  readonly outputs?: JsonObject
  readonly resultCommit?: string | null
  /** Set: the instance is `pending` again and not tried before this instant. Absent: the instance ends */
  readonly retryAt?: number
}

export type NewArtifact = Pick<Artifact, 'name' | 'path' | 'byteCount' | 'sha256'>

export type OpenWaitInput = LeaseProof & {
  readonly stepInstanceId: StepInstanceId
  readonly subject: string
  readonly deadlineAt?: number | null
} & (
    | { readonly kind: Exclude<WaitKind, 'effect' | 'run'> }
    /** The effect is enqueued in the same transaction; its end resolves the wait */
    | { readonly kind: 'effect'; readonly effect: NewEffect }
    /** A child run of the same ticket is queued in the same transaction; its end resolves the wait */
    | { readonly kind: 'run'; readonly child: NewChildRun }
  )

export type NewChildRun = {
  readonly workflowId: WorkflowId
  readonly workflow: string
  readonly inputs: JsonObject
  readonly pins: RunPins
}

/** How a wait ends: the instance succeeds with outputs, fails with a reason. */
export type WaitResolution =
  | { readonly kind: 'succeeded'; readonly outputs: JsonObject }
  | {
      readonly kind: 'failed'
      readonly reason: Reason
      readonly detail: string
      readonly outputs?: JsonObject
    }

// ---------------------------------------------------------------- effects and pull requests

export type NewEffect = {
  /** A second enqueue with the same key gives back the first */
  readonly key: string
  readonly kind: EffectKind
  readonly payload: JsonObject
}

export type UpsertPullRequestInput = Pick<
  PullRequest,
  | 'projectId'
  | 'ticketId'
  | 'runId'
  | 'forge'
  | 'title'
  | 'body'
  | 'branch'
  | 'baseBranch'
  | 'headCommit'
  | 'baseCommit'
  | 'diff'
  | 'isDiffTruncated'
  | 'additionCount'
  | 'deletionCount'
  | 'changedFiles'
  | 'url'
> & {
  /** The forge's number; absent: the next one of this project is given */
  readonly number?: number
}

/** What an effect's success changes, in the transaction that records it. */
export type EffectOutcome =
  | { readonly kind: 'plain'; readonly result: JsonObject }
  /** The forge has no pull requests: the branch is there, the ticket names it */
  | {
      readonly kind: 'pushed'
      readonly ticketId: TicketId
      readonly branch: string
      readonly result: JsonObject
    }
  /** How the ticket stands in its tracker after it was told; `word` is `null` when it has no word for the status */
  | {
      readonly kind: 'written_back'
      readonly ticketId: TicketId
      readonly word: string | null
      readonly standing: ExternalStanding
      /** The ticket's status that was told */
      readonly status: TicketStatus
      readonly result: JsonObject
    }
  | {
      readonly kind: 'pull_request'
      readonly pullRequest: UpsertPullRequestInput
      readonly result: JsonObject
    }
  | {
      readonly kind: 'merged'
      readonly pullRequestId: PullRequestId
      readonly mergeCommit: string
      readonly result: JsonObject
    }
  | { readonly kind: 'closed'; readonly pullRequestId: PullRequestId; readonly result: JsonObject }
  /** The forge said no for good (a conflict): recorded, shown, the ticket stays in review */
  | {
      readonly kind: 'merge_refused'
      readonly pullRequestId: PullRequestId
      readonly reason: Reason
      readonly detail: string
      readonly result: JsonObject
    }
