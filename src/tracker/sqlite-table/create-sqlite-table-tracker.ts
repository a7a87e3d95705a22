import type { Tracker } from '../contract.ts'
import type { SqliteTableMapping } from './mapping.ts'
import { createTableWorker } from './table-worker-client.ts'

export type SqliteTableOptions = {
  /** Time that one call may take, waiting for others included, `ms` */
  readonly callTimeoutMs?: number
  /** How long a lock of another program is waited for, `ms` */
  readonly busyTimeoutMs?: number
}

const CALL_TIMEOUT_MS = 30_000
const BUSY_TIMEOUT_MS = 5_000

/**
 * The tickets in a table of an SQLite file that another program owns. Its schema and its settings are never changed.
 * Everything happens in a thread of its own, which opens the file for each call and closes it again.
 */
export function createSqliteTableTracker(
  mapping: SqliteTableMapping,
  { callTimeoutMs = CALL_TIMEOUT_MS, busyTimeoutMs = BUSY_TIMEOUT_MS }: SqliteTableOptions = {},
): Tracker {
  const worker = createTableWorker(mapping, { callTimeoutMs, busyTimeoutMs })
  return {
    name: mapping.name,
    kind: 'sqlite-table',
    check: (signal) => worker.call('check', null, signal),
    fetchByStates: (input, signal) => worker.call('fetchByStates', input, signal),
    fetchByIds: (externalIds, signal) => worker.call('fetchByIds', externalIds, signal),
    take: (input, signal) => worker.call('take', input, signal),
    writeBack: (input, signal) => worker.call('writeBack', input, signal),
    close: () => worker.close(),
  }
}
