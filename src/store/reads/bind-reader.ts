import type { StoreReader } from '../contract.ts'
import { findEffect, listEffects } from './effects.ts'
import { listEvents } from './events.ts'
import { findExternalRef, listExternalRefs } from './external-refs.ts'
import { findNextDueAt } from './find-next-due-at.ts'
import { getFigures } from './get-figures.ts'
import { findTokenByHash, listHosts, listTokens } from './hosts-and-tokens.ts'
import { findProject, listProjects } from './projects.ts'
import { findEventCut, findPrunedSeq, listPrunableEvents } from './prunable-events.ts'
import { listPrunableRuns, listRunEnds } from './prunable-runs.ts'
import { findPullRequest, listPullRequests } from './pull-requests.ts'
import type { ReadContext } from './read.ts'
import { findAgent, findWorkflow, listAgents, listWorkflows } from './registry.ts'
import { listArtifacts, listSandboxEntries, listUsage } from './run-records.ts'
import {
  findAttempt,
  findRun,
  findWait,
  listAttempts,
  listOpenWaits,
  listRuns,
  listStepInstances,
  loadRunState,
} from './runs.ts'
import { findTicket, listComments, listDependencies, listDependents, listTickets } from './tickets.ts'
import { listUntoldTickets } from './untold.ts'

/** Few rows by an index: what the engine and each request need at once. */
const QUICK = {
  findProject,
  listProjects,
  findTicket,
  listDependencies,
  listDependents,
  findRun,
  loadRunState,
  listStepInstances,
  listAttempts,
  findAttempt,
  listOpenWaits,
  findWait,
  findNextDueAt,
  findEffect,
  findExternalRef,
  findPullRequest,
  listSandboxEntries,
  findAgent,
  findWorkflow,
  listHosts,
  findTokenByHash,
  findPrunedSeq,
}

/** Many rows, or a search: must not hold up a lease. */
const HEAVY = {
  listTickets,
  listComments,
  listRuns,
  listEffects,
  listExternalRefs,
  listUntoldTickets,
  listPullRequests,
  listArtifacts,
  listUsage,
  listAgents,
  listWorkflows,
  listTokens,
  findEventCut,
  listPrunableEvents,
  listPrunableRuns,
  listRunEnds,
}

/** What tells positions of events: nothing may come before one that was told. */
const EVENTS = { listEvents, getFigures }

const READS = { ...QUICK, ...HEAVY, ...EVENTS } satisfies {
  [Name in keyof StoreReader]: (context: ReadContext, input: never) => ReturnType<StoreReader[Name]>
}

/** Gives `read` a context that cannot write and whose statements see one state of the store. */
export type RunRead = <T>(weight: ReadWeight, read: (context: ReadContext) => Promise<T>) => Promise<T>

/** `events`: heavy, and `finalSeq` is given where the order of commits is not the order of positions */
export type ReadWeight = 'quick' | 'heavy' | 'events'

export function bindReader(runRead: RunRead): StoreReader {
  const bound = Object.entries(READS).map(([name, read]) => {
    const weight = name in QUICK ? 'quick' : name in EVENTS ? 'events' : 'heavy'
    return [
      name,
      (input: never) =>
        runRead(weight, (context) =>
          (read as (context: ReadContext, input: never) => Promise<unknown>)(context, input),
        ),
    ]
  })
  // Each entry has the type of its read without the context, which `satisfies` above has checked.
  return Object.fromEntries(bound) as StoreReader
}
