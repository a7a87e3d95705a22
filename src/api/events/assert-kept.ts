import type { StoreReader } from '../../store/contract.ts'
import { ApiProblem } from '../problem.ts'
import type { EventFilter } from './list-events.ts'

/**
 * Refuses a place in the sequence behind which events were removed since: who goes on from there would miss them
 * without knowing. Who begins at 0 has seen nothing and gets what there is; who asks for one ticket is refused only
 * when events of it are gone.
 */
export async function assertKept(
  read: Pick<StoreReader, 'findPrunedSeq' | 'listEvents' | 'findRun'>,
  after: number,
  filter: EventFilter,
): Promise<void> {
  if (after === 0) return
  const prunedSeq = await read.findPrunedSeq()
  if (after >= prunedSeq) return
  const ticketId =
    filter.ticketId ?? (filter.runId === undefined ? undefined : (await read.findRun(filter.runId))?.ticketId)
  if (ticketId !== undefined) {
    const [first] = await read.listEvents({ ticketId, afterSeq: 0, countMax: 1 })
    // They go in the order of the sequence, so what is left of a ticket has no gap.
    if (first !== undefined && (first.type === 'ticket.created' || first.seq <= after)) return
  }
  throw new ApiProblem(
    410,
    'events_pruned',
    `events up to ${prunedSeq} were removed by retention, some of them after ${after}`,
    {
      hint: `load everything again, then go on after ${prunedSeq}; after 0 begins with the oldest that is kept`,
    },
  )
}
