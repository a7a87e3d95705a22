import type { RunId, TokenId } from '../domain/id.ts'
import type { Scope } from '../domain/records.ts'
import type { OperationSpec } from '../rest-schema/operation.ts'
import { ApiProblem } from './problem.ts'

/** Who asks, once it is known. */
export type Caller = {
  /** As it stands in events: `owner`, `token:<name>` */
  readonly actor: string
  /** Absent for the owner of the unix socket */
  readonly tokenId: TokenId | null
  readonly scopes: readonly Scope[]
  /** Set for the credential of one run */
  readonly runId: RunId | null
}

/**
 * Whoever can open the unix socket (mode 0600) owns the state directory, and with it the database and every
 * token in it: asking for a token would add nothing.
 */
export const OWNER: Caller = { actor: 'owner', tokenId: null, scopes: ['admin'], runId: null }

/** For operations that are open to everyone. */
export const NOBODY: Caller = { actor: 'nobody', tokenId: null, scopes: [], runId: null }

/** @throws ApiProblem 403 unless the caller may do it */
export function authorize(caller: Caller, spec: OperationSpec, runId: string | undefined): void {
  if (spec.scope === null) return
  if (caller.runId !== null) {
    authorizeRun(caller.runId, spec, runId)
    return
  }
  if (caller.scopes.includes('admin') || caller.scopes.includes(spec.scope)) return
  throw new ApiProblem(403, 'missing_scope', `${spec.id} needs the scope ${spec.scope}`, {
    hint: `this token has ${caller.scopes.join(', ') || 'no scope'}; create one with the scope ${spec.scope}`,
  })
}

function authorizeRun(own: RunId, spec: OperationSpec, runId: string | undefined): void {
  if (spec.isRunDoor !== true) {
    throw new ApiProblem(403, 'missing_scope', `${spec.id} is not open to the token of a run`)
  }
  if (runId !== own) throw new ApiProblem(403, 'foreign_run', 'the token of a run opens this run only')
}

/**
 * The name under which an outside agent holds leases. It contains the credential, so that nobody drives another's
 * run by guessing a holder and a small number, and can never be the name of a coordinator.
 */
export function toHolder(caller: Caller, name: string): string {
  return `agent:${caller.tokenId ?? 'owner'}/${name}`
}
