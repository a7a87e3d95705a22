import { isProjectKey, type Project } from '../../domain/project.ts'
import type { CreateProjectInput } from '../contract.ts'
import { ConflictError } from '../errors.ts'
import { toJson, toProject } from '../rows.ts'
import type { Tx } from '../transaction.ts'

export async function createProject(tx: Tx, input: CreateProjectInput): Promise<Project> {
  if (!isProjectKey(input.key)) {
    throw new ConflictError(
      `a project cannot have the key ${JSON.stringify(input.key)}: 2 to 10 of A-Z and 0-9`,
    )
  }
  const row = await tx.db
    .insertInto('projects')
    .values({
      id: tx.newId('project'),
      key: input.key,
      name: input.name,
      repository_url: input.repositoryUrl ?? null,
      forge: input.forge ?? 'local',
      default_branch: input.defaultBranch ?? 'main',
      default_workflow: input.defaultWorkflow ?? null,
      settings: toJson(input.settings ?? {}),
      ticket_count: 0,
      created_at: tx.now,
      updated_at: tx.now,
      version: 1,
    })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .returningAll()
    .executeTakeFirst()
  if (row === undefined) throw new ConflictError(`there is a project ${input.key} already`)
  tx.emit({
    type: 'project.created',
    actor: input.actor,
    data: { projectId: row.id, key: row.key, name: row.name },
  })
  return toProject(row)
}
