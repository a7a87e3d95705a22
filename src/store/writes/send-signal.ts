import type { RunId } from '../../domain/id.ts'
import type { JsonObject } from '../../domain/json.ts'
import { isTerminal } from '../../domain/status.ts'
import type { Signal } from '../../domain/step.ts'
import { ConflictError } from '../errors.ts'
import { toJson, toSignal } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { endWait } from './end-wait.ts'
import { aboutRun, getRunRow } from './move-run.ts'

export async function sendSignal(
  tx: Tx,
  input: { runId: RunId; name: string; payload: JsonObject; actor: string },
): Promise<Signal> {
  const run = await getRunRow(tx, input.runId)
  if (isTerminal('run', run.status)) throw new ConflictError(`run ${run.id} has ended: it takes no signals`)
  const row = await tx.db
    .insertInto('signals')
    .values({
      id: tx.newId('signal'),
      run_id: run.id,
      name: input.name,
      payload: toJson(input.payload),
      created_at: tx.now,
      consumed_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  tx.emit({
    ...aboutRun(run),
    type: 'signal.received',
    actor: input.actor,
    data: { signalId: row.id, name: input.name },
  })
  const wait = await tx.db
    .selectFrom('waits')
    .selectAll()
    .where('run_id', '=', run.id)
    .where('kind', '=', 'signal')
    .where('subject', '=', input.name)
    .where('resolved_at', 'is', null)
    .orderBy('created_at')
    .orderBy('id')
    .limit(1)
    .executeTakeFirst()
  if (wait === undefined) return toSignal(row)
  const signal = await consumeSignal(tx, run.id, input.name)
  await endWait(tx, wait, {
    actor: input.actor,
    resolution: { kind: 'succeeded', outputs: signal?.payload ?? input.payload },
  })
  return signal ?? toSignal(row)
}

/** Takes the oldest kept signal of that name. */
export async function consumeSignal(tx: Tx, runId: RunId, name: string): Promise<Signal | undefined> {
  const oldest = await tx.db
    .selectFrom('signals')
    .select('seq')
    .where('run_id', '=', runId)
    .where('name', '=', name)
    .where('consumed_at', 'is', null)
    .orderBy('seq')
    .limit(1)
    .executeTakeFirst()
  if (oldest === undefined) return undefined
  const row = await tx.db
    .updateTable('signals')
    .set({ consumed_at: tx.now })
    .where('seq', '=', oldest.seq)
    .returningAll()
    .executeTakeFirstOrThrow()
  return toSignal(row)
}
