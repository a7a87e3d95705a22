import type { SandboxId } from '../../domain/id.ts'
import type { Reason } from '../../domain/reason.ts'
import { isTerminal, isTransition } from '../../domain/status.ts'
import { IllegalTransitionError, NotFoundError } from '../errors.ts'
import type { Tx } from '../transaction.ts'

/** What is found twice changes nothing; what is known to be gone is not lost. */
export async function markSandbox(
  tx: Tx,
  input: { sandboxId: SandboxId; status: 'ready' | 'stopping' | 'gone' | 'lost'; reason?: Reason },
): Promise<void> {
  const { sandboxId, status, reason } = input
  const sandbox = await tx.db
    .selectFrom('sandboxes as s')
    .innerJoin('runs as r', 'r.id', 's.run_id')
    .select(['s.status', 's.run_id', 's.step_instance_id', 's.ended_at', 'r.ticket_id'])
    .where('s.id', '=', sandboxId)
    .$if(tx.dialect.supportsSkipLocked, (query) => query.forNoKeyUpdate('s'))
    .executeTakeFirst()
  if (sandbox === undefined) throw new NotFoundError('sandbox', sandboxId)
  if (sandbox.status === status || (sandbox.status === 'gone' && status === 'lost')) return
  if (!isTransition('sandbox', sandbox.status, status)) {
    throw new IllegalTransitionError('sandbox', sandboxId, sandbox.status, status)
  }
  await tx.db
    .updateTable('sandboxes')
    .set({
      status,
      ...(reason === undefined ? {} : { reason }),
      ended_at: isTerminal('sandbox', status) ? (sandbox.ended_at ?? tx.now) : null,
    })
    .where('id', '=', sandboxId)
    .execute()
  if (status === 'stopping') return
  tx.emit({
    type: `sandbox.${status}`,
    actor: 'coordinator',
    ticketId: sandbox.ticket_id,
    runId: sandbox.run_id,
    stepInstanceId: sandbox.step_instance_id,
    data: { sandboxId, reason: reason ?? null },
  })
}
