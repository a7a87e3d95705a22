import { createProjectSpec } from '../../rest-schema/operations/projects.ts'
import { operation } from '../operation.ts'
import { toProjectBody } from '../project-body.ts'
import { withoutUndefined } from '../without-undefined.ts'

export function createProject() {
  return operation(createProjectSpec, async ({ body, caller, change }) => {
    return await change(async (write) => {
      const project = await write.createProject({ ...withoutUndefined(body), actor: caller.actor })
      return { status: 201, body: toProjectBody(project), version: project.version }
    })
  })
}
