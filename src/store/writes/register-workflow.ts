import type { WorkflowRecord } from '../../domain/records.ts'
import { ConflictError } from '../errors.ts'
import { toWorkflowRecord } from '../rows.ts'
import type { Tx } from '../transaction.ts'

export async function registerWorkflow(
  tx: Tx,
  input: Omit<WorkflowRecord, 'id' | 'createdAt'> & { actor: string },
): Promise<WorkflowRecord> {
  const known = await tx.db
    .selectFrom('workflows')
    .selectAll()
    .where('name', '=', input.name)
    .where('version', '=', input.version)
    .executeTakeFirst()
  if (known !== undefined) {
    if (known.digest === input.digest) return toWorkflowRecord(known)
    throw new ConflictError(
      `workflow ${input.name}@${input.version} is registered with other content: give it a new version`,
    )
  }
  const row = await tx.db
    .insertInto('workflows')
    .values({
      id: tx.newId('workflow'),
      name: input.name,
      version: input.version,
      text: input.text,
      digest: input.digest,
      source: input.source,
      created_at: tx.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  tx.emit({
    type: 'workflow.registered',
    actor: input.actor,
    data: { workflowId: row.id, name: row.name, version: row.version },
  })
  return toWorkflowRecord(row)
}
