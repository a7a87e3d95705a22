import type { LeaseProof } from '../../domain/run.ts'
import type { StepInstance } from '../../domain/step.ts'
import type { NewStepInstance } from '../contract.ts'
import { ConflictError } from '../errors.ts'
import { type Row, toJson, toStepInstance } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { aboutRun, actorOf, requireLease } from './move-run.ts'

export async function createStepInstances(
  tx: Tx,
  input: LeaseProof & { instances: readonly NewStepInstance[] },
): Promise<readonly StepInstance[]> {
  const run = await requireLease(tx, input)
  const present = new Map((await listSteps(tx, run)).map((row) => [row.key, row]))
  const created: Row<'steps'>[] = []
  for (const instance of input.instances) {
    const known = present.get(instance.key)
    if (known !== undefined) {
      assertSame(known, instance)
      continue
    }
    const row = await insertStep(tx, run, instance, present.size + 1)
    present.set(row.key, row)
    created.push(row)
  }
  for (const row of created) {
    tx.emit({
      ...aboutRun(run),
      type: 'step.created',
      actor: actorOf(run),
      stepInstanceId: row.id,
      data: { key: row.key, kind: row.kind },
    })
  }
  return input.instances.flatMap(({ key }) => {
    const row = present.get(key)
    return row === undefined ? [] : [toStepInstance(row)]
  })
}

async function listSteps(tx: Tx, run: Row<'runs'>): Promise<readonly Row<'steps'>[]> {
  return await tx.db.selectFrom('steps').selectAll().where('run_id', '=', run.id).execute()
}

function assertSame(known: Row<'steps'>, instance: NewStepInstance): void {
  if (known.step_id === instance.stepId && known.position === instance.index) return
  throw new ConflictError(
    `step instance ${instance.key} exists already, as ${known.step_id} at ${known.position}`,
  )
}

async function insertStep(
  tx: Tx,
  run: Row<'runs'>,
  instance: NewStepInstance,
  ordinal: number,
): Promise<Row<'steps'>> {
  return await tx.db
    .insertInto('steps')
    .values({
      id: tx.newId('step'),
      run_id: run.id,
      step_id: instance.stepId,
      position: instance.index,
      key: instance.key,
      kind: instance.kind,
      status: 'pending',
      reason: null,
      detail: null,
      item: toJson(instance.item),
      inputs: null,
      outputs: null,
      not_before: 0,
      attempt_count: 0,
      ordinal,
      started_at: null,
      finished_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}
