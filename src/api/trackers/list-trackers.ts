import type { CoordinatorControl } from '../../coordinator/control.ts'
import { listTrackersSpec } from '../../rest-schema/operations/trackers.ts'
import type { Store } from '../../store/contract.ts'
import { toInstantOrNull } from '../instant.ts'
import { operation } from '../operation.ts'

export type ListTrackersDeps = {
  readonly store: Pick<Store, 'read'>
  readonly control: Pick<CoordinatorControl, 'listTrackers'>
}

export function listTrackers({ store, control }: ListTrackersDeps) {
  return operation(listTrackersSpec, async () => {
    const items = await Promise.all(
      control.listTrackers().map(async ({ lastPollAt, ...report }) => ({
        ...report,
        lastPollAt: toInstantOrNull(lastPollAt),
        untold: await store.read.listUntoldTickets({ tracker: report.name }),
      })),
    )
    return { status: 200, body: { items } }
  })
}
