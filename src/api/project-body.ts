import type { Project } from '../domain/project.ts'
import type { ProjectBody } from '../rest-schema/project.ts'
import { toInstant } from './instant.ts'

/** The project as the API shows it. */
export function toProjectBody(project: Project): ProjectBody {
  return { ...project, createdAt: toInstant(project.createdAt), updatedAt: toInstant(project.updatedAt) }
}
