import type { StepInstanceId } from '../../domain/id.ts'
import type { Artifact } from '../../domain/records.ts'
import type { LeaseProof } from '../../domain/run.ts'
import type { NewArtifact } from '../contract.ts'
import { type Row, toArtifact } from '../rows.ts'
import type { Tx } from '../transaction.ts'
import { aboutRun, actorOf, requireLease } from './move-run.ts'
import { getStepRow } from './move-step.ts'

export async function addArtifact(
  tx: Tx,
  input: LeaseProof & NewArtifact & { stepInstanceId: StepInstanceId; attempt: number },
): Promise<Artifact> {
  const run = await requireLease(tx, input)
  await getStepRow(tx, run.id, input.stepInstanceId)
  return await insertArtifact(tx, run, input)
}

export async function insertArtifact(
  tx: Tx,
  run: Row<'runs'>,
  input: NewArtifact & { stepInstanceId: StepInstanceId; attempt: number },
): Promise<Artifact> {
  const row = await tx.db
    .insertInto('artifacts')
    .values({
      id: tx.newId('artifact'),
      run_id: run.id,
      step_instance_id: input.stepInstanceId,
      attempt: input.attempt,
      name: input.name,
      path: input.path,
      byte_count: input.byteCount,
      sha256: input.sha256,
      created_at: tx.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  tx.emit({
    ...aboutRun(run),
    type: 'artifact.added',
    actor: actorOf(run),
    stepInstanceId: input.stepInstanceId,
    attempt: input.attempt,
    data: { artifactId: row.id, name: row.name, byteCount: row.byte_count },
  })
  return toArtifact(row)
}
