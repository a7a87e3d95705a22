import type { AgentRecord } from '../../domain/records.ts'
import { ConflictError } from '../errors.ts'
import { toAgentRecord, toJson } from '../rows.ts'
import type { Tx } from '../transaction.ts'

export async function registerAgent(
  tx: Tx,
  input: Omit<AgentRecord, 'id' | 'createdAt'> & { actor: string },
): Promise<AgentRecord> {
  const known = await tx.db
    .selectFrom('agents')
    .selectAll()
    .where('name', '=', input.name)
    .where('version', '=', input.version)
    .executeTakeFirst()
  if (known !== undefined) {
    if (known.digest === input.digest) return toAgentRecord(known)
    throw new ConflictError(
      `agent ${input.name}@${input.version} is registered with other content: give it a new version`,
    )
  }
  const row = await tx.db
    .insertInto('agents')
    .values({
      id: tx.newId('agent'),
      name: input.name,
      version: input.version,
      manifest: toJson(input.manifest),
      path: input.path,
      digest: input.digest,
      source: input.source,
      created_at: tx.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  tx.emit({
    type: 'agent.registered',
    actor: input.actor,
    data: { agentId: row.id, name: row.name, version: row.version },
  })
  return toAgentRecord(row)
}
