import type { WaitId } from '../../domain/id.ts'
import type { WaitResolution } from '../contract.ts'
import { prepareQuery } from '../prepared-query.ts'
import type { Row } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { stopWaitedFor } from './end-run.ts'
import { endWait } from './end-wait.ts'

export async function expireWaits(tx: Tx): Promise<readonly WaitId[]> {
  const due = await selectDue(tx, { now: tx.now })
  for (const wait of due) await expire(tx, wait)
  return due.map((wait) => wait.id)
}

/** What another transaction holds is left to it, or to the next look. */
const selectDue = prepareQuery(({ db, dialect }, { now }: { readonly now: number }) =>
  db
    .selectFrom('waits as w')
    .selectAll('w')
    .where('w.resolved_at', 'is', null)
    .where('w.deadline_at', 'is not', null)
    .where('w.deadline_at', '<=', now)
    .orderBy('w.deadline_at')
    .orderBy('w.id')
    .$if(dialect.supportsSkipLocked, (query) =>
      query
        .innerJoin('runs as r', 'r.id', 'w.run_id')
        .innerJoin('tickets as t', 't.id', 'r.ticket_id')
        .forNoKeyUpdate(['t', 'w'])
        .skipLocked(),
    ),
)

async function expire(tx: Tx, wait: Row<'waits'>): Promise<void> {
  if (wait.kind === 'timer') {
    await endWait(tx, wait, { actor: 'coordinator', resolution: { kind: 'succeeded', outputs: {} } })
    return
  }
  const isOurs = wait.kind === 'effect' || wait.kind === 'run'
  const resolution: WaitResolution = isOurs
    ? { kind: 'failed', reason: 'timed_out', detail: 'it did not end in its time' }
    : { kind: 'failed', reason: 'wait_expired', detail: `nobody answered in time: ${wait.subject}` }
  await endWait(tx, wait, { actor: 'coordinator', eventType: 'wait.expired', resolution })
  await stopWaitedFor(tx, wait, 'coordinator')
}
