import type { Updateable } from 'kysely'
import type { Project } from '../../domain/project.ts'
import type { UpdateProjectInput } from '../contract.ts'
import { NotFoundError, VersionConflictError } from '../errors.ts'
import { toJson, toProject } from '../rows.ts'
import type { ProjectsTable } from '../schema.ts'
import type { Tx } from '../transaction.ts'

export async function updateProject(tx: Tx, input: UpdateProjectInput): Promise<Project> {
  const { projectId, expectedVersion, changes } = input
  const project = await tx.db
    .selectFrom('projects')
    .select(['key', 'version'])
    .where('id', '=', projectId)
    .$if(tx.dialect.supportsSkipLocked, (query) => query.forNoKeyUpdate())
    .executeTakeFirst()
  if (project === undefined) throw new NotFoundError('project', projectId)
  if (expectedVersion !== undefined && expectedVersion !== project.version) {
    throw new VersionConflictError(`project ${project.key}`, expectedVersion, project.version)
  }
  const row = await tx.db
    .updateTable('projects')
    .set({ ...toColumns(changes), updated_at: tx.now, version: project.version + 1 })
    .where('id', '=', projectId)
    .returningAll()
    .executeTakeFirstOrThrow()
  tx.emit({
    type: 'project.updated',
    actor: input.actor,
    data: { projectId, fields: Object.keys(toColumns(changes)) },
  })
  return toProject(row)
}

function toColumns(changes: UpdateProjectInput['changes']): Updateable<ProjectsTable> {
  return {
    ...(changes.name === undefined ? {} : { name: changes.name }),
    ...(changes.repositoryUrl === undefined ? {} : { repository_url: changes.repositoryUrl }),
    ...(changes.forge === undefined ? {} : { forge: changes.forge }),
    ...(changes.defaultBranch === undefined ? {} : { default_branch: changes.defaultBranch }),
    ...(changes.defaultWorkflow === undefined ? {} : { default_workflow: changes.defaultWorkflow }),
    ...(changes.settings === undefined ? {} : { settings: toJson(changes.settings) }),
  }
}
