import { createHash } from 'node:crypto'
import type { TicketId } from '../domain/id.ts'
import type { JsonObject } from '../domain/json.ts'
import type { Project } from '../domain/project.ts'
import { classOf, type Reason } from '../domain/reason.ts'
import type { WorkflowRecord } from '../domain/records.ts'
import type { LeaseProof } from '../domain/run.ts'
import { decideTicketAfterFailure, type TicketAfterFailure } from '../domain/run-failure.ts'
import type { Ticket } from '../domain/ticket.ts'
import { loadWorkflow } from '../engine/load-workflow.ts'
import type { ForgeCatalogue, RunRetry } from '../engine/ports.ts'
import { untilRecorded } from '../engine/until-recorded.ts'
import { toBranchName } from '../forge/branch-name.ts'
import { ForgeError, type Mirror } from '../forge/contract.ts'
import type { Logger } from '../platform/log.ts'
import type { Claim, Store } from '../store/contract.ts'
import { NotFoundError, StoreError } from '../store/errors.ts'
import { parseWorkflow } from '../workflow/parse-workflow.ts'
import { resolveInputs } from '../workflow/resolve-inputs.ts'
import type { RouteExplanation } from './control.ts'
import { findEarlierWork } from './find-earlier-work.ts'
import { EMPTY_PROJECT_FILE, type ProjectFile, parseProjectFile } from './parse-project-file.ts'
import { type RouteRule, routeTicket } from './route-ticket.ts'

export type TranslatorDeps = {
  readonly store: Store
  readonly forges: ForgeCatalogue
  readonly rules: readonly RouteRule[]
  readonly runRetry: RunRetry
  readonly logger: Logger
}

/** What a run cannot begin with; recorded as the run's end. */
class Untranslatable extends Error {
  readonly reason: Reason

  constructor(reason: Reason, detail: string) {
    super(detail)
    this.name = 'Untranslatable'
    this.reason = reason
  }
}

/** Turns a claimed ticket into a run of a workflow, with everything pinned that it is to finish on. */
export class Translator {
  readonly #deps: TranslatorDeps

  constructor(deps: TranslatorDeps) {
    this.#deps = deps
  }

  /**
   * Translates the claimed run, or ends it with its reason: a ticket is never silently skipped.
   * @returns whether there is a run to drive
   */
  async translate(claim: Claim, proof: LeaseProof, signal: AbortSignal): Promise<boolean> {
    if (claim.run.workflowId !== null) return true
    try {
      await this.#translate(claim, proof, signal)
      return true
    } catch (error) {
      if (signal.aborted || error instanceof StoreError) throw error
      const failure = toUntranslatable(error)
      this.#deps.logger.warn({ runId: proof.runId, err: error }, 'ticket could not be translated')
      const outcome = {
        status: 'failed' as const,
        reason: failure.reason,
        detail: failure.message.slice(0, 8_000),
        ticket: this.#decideTicket(failure.reason, claim.ticket),
      }
      const { store, logger } = this.#deps
      await untilRecorded(() => store.write.finishRun({ ...proof, outcome }), { signal, logger })
      return false
    }
  }

  /** Ends a claimed run that a person canceled before there was anything to drive. */
  async cancel(proof: LeaseProof): Promise<void> {
    await this.#deps.store.write.finishRun({
      ...proof,
      outcome: { status: 'canceled', reason: 'canceled_by_person', detail: 'canceled before it began' },
    })
  }

  /** Puts a claimed run back at once, for the next process to translate. */
  async giveBack(proof: LeaseProof): Promise<void> {
    await this.#deps.store.write.releaseRun(proof)
  }

  /** Why the ticket would go where it goes; reads, changes nothing. */
  async explain(ticketId: TicketId, signal: AbortSignal): Promise<RouteExplanation> {
    const { read } = this.#deps.store
    const ticket = await read.findTicket({ ticketId })
    if (ticket === undefined) throw new NotFoundError('ticket', ticketId)
    const project = await this.#getProject(ticket)
    const repository = await this.#openRepository(project, signal)
    return this.#route(ticket, project, repository?.file ?? EMPTY_PROJECT_FILE)
  }

  async #translate({ ticket, run }: Claim, proof: LeaseProof, signal: AbortSignal): Promise<void> {
    const { store } = this.#deps
    const project = await this.#getProject(ticket)
    const repository = await this.#openRepository(project, signal)
    const file = repository?.file ?? EMPTY_PROJECT_FILE
    const { result } = this.#route(ticket, project, file)
    if (result.kind === 'unroutable') throw new Untranslatable('unroutable', result.detail)
    const record = await this.#findWorkflow(result.workflow, project, repository, signal)
    const loaded = await loadWorkflow(store.read, record.id)
    if (!loaded.ok) throw new Untranslatable('workflow_invalid', loaded.detail)
    const declared = loaded.workflow.inputs
    const wanted: JsonObject =
      result.agent !== null && 'agent' in declared && !('agent' in result.inputs)
        ? { ...result.inputs, agent: result.agent }
        : result.inputs
    const inputs = resolveInputs(loaded.workflow, wanted)
    if (!inputs.ok) throw new Untranslatable('input_invalid', inputs.problems.join('; '))

    const earlier = await findEarlierWork(store.read, ticket, run.number)
    const startCommit = await resolveStart(repository, earlier.commit, signal)
    const { mirror, baseCommit } = repository ?? {}
    const mergeBase =
      mirror && baseCommit && startCommit
        ? await mirror.mergeBase(baseCommit, startCommit, signal)
        : undefined
    const translation = {
      ...proof,
      workflowId: record.id,
      workflow: `${record.name}@${record.version}`,
      inputs: inputs.inputs,
      pins: {
        baseCommit: mergeBase ?? baseCommit ?? null,
        startCommit,
        baseBranch: repository === undefined ? null : project.defaultBranch,
        branch: repository === undefined ? null : (ticket.branch ?? toBranchName(ticket)),
        agent: result.agent,
        setup: file.setup,
        checks: file.checks,
        rule: result.rule,
        feedback: earlier.feedback,
      },
    }
    await untilRecorded(() => store.write.translateRun(translation), { signal, logger: this.#deps.logger })
  }

  #route(ticket: Ticket, project: Project, file: ProjectFile): RouteExplanation {
    const { rules } = this.#deps
    return routeTicket({ ticket, project, rules, repositoryDefault: file.defaultWorkflow })
  }

  async #getProject(ticket: Ticket): Promise<Project> {
    const project = await this.#deps.store.read.findProject({ projectId: ticket.projectId })
    if (project === undefined) throw new Error(`ticket ${ticket.key} has no project`)
    return project
  }

  async #openRepository(project: Project, signal: AbortSignal): Promise<OpenRepository | undefined> {
    if (project.repositoryUrl === null) return undefined
    const found = this.#deps.forges.find(project)
    if (found === undefined) {
      throw new Untranslatable(
        'repository_refused',
        `project ${project.key} names the forge ${project.forge}, which is not configured`,
      )
    }
    const mirror = await found.forge.ensureMirror(found.project, signal)
    const baseCommit = await mirror.defaultCommit(signal)
    return { mirror, baseCommit, file: await readProjectFile(mirror, baseCommit, signal) }
  }

  /** A workflow of the repository wins over a registered one of the same name; it is kept as it was at that commit. */
  async #findWorkflow(
    reference: string,
    project: Project,
    repository: OpenRepository | undefined,
    signal: AbortSignal,
  ): Promise<WorkflowRecord> {
    const { store } = this.#deps
    const [name = '', version] = reference.split('@')
    const text = repository && version === undefined && (await readWorkflowFile(repository, name, signal))
    if (text) {
      const file = `.swarm/workflows/${name}.yaml`
      const parsed = parseWorkflow(text, { file })
      if (!parsed.ok) {
        const [first] = parsed.errors
        throw new Untranslatable(
          'workflow_invalid',
          `${file}:${first?.line}:${first?.column}: ${first?.message}`,
        )
      }
      const digest = createHash('sha256').update(text).digest('hex')
      return await store.write.registerWorkflow({
        name: `${project.key}/${parsed.workflow.name}`,
        version: `${parsed.workflow.version}+${digest.slice(0, 12)}`,
        text,
        digest,
        source: 'repository',
        actor: 'coordinator',
      })
    }
    const record = await store.read.findWorkflow(version === undefined ? { name } : { name, version })
    if (record !== undefined) return record
    throw new Untranslatable(
      'workflow_invalid',
      `there is no workflow ${JSON.stringify(reference)}: list them with "swarm workflow list"`,
    )
  }

  /** A network or disk in trouble is no fault of the ticket's: it is tried again while runs are left. */
  #decideTicket(reason: Reason, ticket: Ticket): TicketAfterFailure {
    const { runCountMax, backoffMs, backoffMaxMs } = this.#deps.runRetry
    const now = this.#deps.store.now()
    const delayMs = Math.min(backoffMs * 2 ** Math.max(0, ticket.runCount - 1), backoffMaxMs)
    if (classOf(reason) === 'infrastructure' && ticket.runCount < runCountMax) {
      return { kind: 'requeue', notBefore: now + delayMs }
    }
    return decideTicketAfterFailure({ reason, runCount: ticket.runCount, runCountMax, now, delayMs })
  }
}

type OpenRepository = { readonly mirror: Mirror; readonly baseCommit: string; readonly file: ProjectFile }

async function readProjectFile(mirror: Mirror, commit: string, signal: AbortSignal): Promise<ProjectFile> {
  const bytes = await mirror.readFileAt({ commit, path: '.swarm/project.yaml' }, signal)
  if (bytes === undefined) return EMPTY_PROJECT_FILE
  const parsed = parseProjectFile(Buffer.from(bytes).toString('utf8'))
  if (!parsed.ok) throw new Untranslatable('workflow_invalid', parsed.detail)
  return parsed.file
}

const WORKFLOW_FILE_NAME = /^[a-z0-9][a-z0-9-]{0,99}$/

async function readWorkflowFile(
  { mirror, baseCommit }: OpenRepository,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!WORKFLOW_FILE_NAME.test(name)) return undefined
  const bytes = await mirror.readFileAt({ commit: baseCommit, path: `.swarm/workflows/${name}.yaml` }, signal)
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8')
}

/** Earlier work is gone on with where the mirror still has it. */
async function resolveStart(
  repository: OpenRepository | undefined,
  earlierCommit: string | null,
  signal: AbortSignal,
): Promise<string | null> {
  if (repository === undefined) return null
  const earlier = earlierCommit === null ? undefined : await repository.mirror.resolve(earlierCommit, signal)
  return earlier ?? repository.baseCommit
}

/** A mistake of ours, or a disk in trouble, counts as a run too, so that it cannot repeat for ever. */
function toUntranslatable(error: unknown): Untranslatable {
  if (error instanceof Untranslatable) return error
  if (error instanceof ForgeError) return new Untranslatable(error.reason, error.message)
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const isNoRoom = code === 'ENOSPC' || code === 'EDQUOT'
  return new Untranslatable(isNoRoom ? 'disk_full' : 'forge_failed', `internal error: ${message}`)
}
