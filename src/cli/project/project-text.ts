import type { SwarmClient } from '../../client/client.ts'
import type { CliContext } from '../context.ts'
import { showFields } from '../show-fields.ts'
import { showOne } from '../show-one.ts'

export type Project = Awaited<ReturnType<SwarmClient['projects']['get']>>

export function showProject({ output }: CliContext, project: Project): void {
  showOne(output, project, {
    id: ({ key }) => key,
    text: () => {
      output.line(output.colors.bold(project.key))
      showFields(output, [
        ['name', project.name],
        ['id', project.id],
        ['repository', project.repositoryUrl],
        ['forge', project.forge],
        ['branch', project.defaultBranch],
        ['workflow', project.defaultWorkflow],
        ['tickets', project.ticketCount],
        ['created', project.createdAt],
      ])
    },
  })
}
