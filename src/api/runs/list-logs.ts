import { listLogsSpec } from '../../rest-schema/operations/runs.ts'
import type { AttemptLogs } from '../../store/attempt-log.ts'
import type { Store } from '../../store/contract.ts'
import { getRun } from '../find-by-ref.ts'
import { operation } from '../operation.ts'

export type ListLogsDeps = { readonly store: Pick<Store, 'read'>; readonly logs: Pick<AttemptLogs, 'list'> }

export function listLogs({ store, logs }: ListLogsDeps) {
  return operation(listLogsSpec, async ({ params: { runId } }) => {
    await getRun(store.read, runId)
    const entries = await logs.list(runId)
    const items = entries.map(({ stepKey, attempt, endOffset, isTruncated, isClosed }) => ({
      stepKey,
      attempt,
      byteCount: endOffset,
      isTruncated,
      isClosed,
    }))
    return { status: 200, body: { items } }
  })
}
