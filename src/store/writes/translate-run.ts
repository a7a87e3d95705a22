import type { Run } from '../../domain/run.ts'
import type { TranslateRunInput } from '../contract.ts'
import { ConflictError } from '../errors.ts'
import { toJson, toRun } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { aboutRun, actorOf, requireLease } from './move-run.ts'

/** Gives the run its workflow, once: a run finishes on the version it began with. */
export async function translateRun(tx: Tx, input: TranslateRunInput): Promise<Run> {
  const run = await requireLease(tx, input)
  if (run.workflow !== null) {
    if (run.workflow_id === input.workflowId) return toRun(run)
    throw new ConflictError(`run ${run.id} is translated to ${run.workflow} already`)
  }
  const translated = await tx.db
    .updateTable('runs')
    .set({
      workflow_id: input.workflowId,
      workflow: input.workflow,
      inputs: toJson(input.inputs),
      pins: toJson({ ...input.pins }),
    })
    .where('id', '=', run.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  tx.emit({
    ...aboutRun(run),
    type: 'run.translated',
    actor: actorOf(run),
    data: { workflow: input.workflow, rule: input.pins.rule },
  })
  return toRun(translated)
}
