import type { RunId } from '../domain/id.ts'

/** Why a store could not be opened or used. */
export type StoreErrorCode =
  | 'not_found'
  | 'conflict'
  | 'version_conflict'
  | 'not_claimable'
  | 'lease_lost'
  | 'illegal_transition'
  | 'dependency_cycle'
  | 'idempotency_mismatch'
  | 'invalid_cursor'
  | 'newer_version'
  | 'corrupt'
  | 'foreign_file'
  | 'read_only'
  | 'disk_full'
  | 'locked'
  | 'unavailable'

/** Trouble with the store; the message says what was tried, on what, and what to do. */
export class StoreError extends Error {
  override readonly name: string = 'StoreError'
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export class NotFoundError extends StoreError {
  override readonly name = 'NotFoundError'
  constructor(what: string, key: string) {
    super('not_found', `there is no ${what} ${key}`)
  }
}

/** The state does not allow it, whoever asks. */
export class ConflictError extends StoreError {
  override readonly name = 'ConflictError'
  constructor(message: string) {
    super('conflict', message)
  }
}

/** The row was changed since the caller read it. */
export class VersionConflictError extends StoreError {
  override readonly name = 'VersionConflictError'
  readonly currentVersion: number
  constructor(what: string, expected: number, currentVersion: number) {
    super(
      'version_conflict',
      `${what} is at version ${currentVersion}, not ${expected}: read it again, then repeat`,
    )
    this.currentVersion = currentVersion
  }
}

export class NotClaimableError extends StoreError {
  override readonly name = 'NotClaimableError'
  readonly status: string
  constructor(key: string, status: string, detail?: string) {
    super(
      'not_claimable',
      `ticket ${key} cannot be claimed: it is ${status}${detail === undefined ? '' : `, ${detail}`}`,
    )
    this.status = status
  }
}

/** The writer is not the holder any more; it must stop what it drives. */
export class LeaseLostError extends StoreError {
  override readonly name = 'LeaseLostError'
  readonly runId: RunId
  constructor(runId: RunId, epoch: number) {
    super('lease_lost', `run ${runId} is not held under epoch ${epoch} any more; nothing was changed`)
    this.runId = runId
  }
}

export class IllegalTransitionError extends StoreError {
  override readonly name = 'IllegalTransitionError'
  constructor(thing: string, id: string, from: string, to: string) {
    super('illegal_transition', `${thing} ${id} cannot go from ${from} to ${to}`)
  }
}

export class DependencyCycleError extends StoreError {
  override readonly name = 'DependencyCycleError'
  readonly keys: readonly string[]
  constructor(keys: readonly string[]) {
    super('dependency_cycle', `these tickets would wait for each other: ${keys.join(' → ')}`)
    this.keys = keys
  }
}

export class IdempotencyError extends StoreError {
  override readonly name = 'IdempotencyError'
  constructor(key: string) {
    super('idempotency_mismatch', `the idempotency key ${key} was used for another request`)
  }
}
