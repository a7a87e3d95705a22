import * as z from 'zod'
import { defineOperation } from '../operation.ts'
import { createProjectBody, projectListSchema, projectSchema, updateProjectBody } from '../project.ts'

const tag = 'projects'
const params = z.strictObject({
  key: z.string().min(1).max(40).meta({ description: 'Key (`WEB`) or identifier' }),
})

export const createProjectSpec = defineOperation({
  id: 'createProject',
  method: 'post',
  path: '/v1/projects',
  tag,
  summary: 'Create a project',
  scope: 'admin',
  isIdempotent: true,
  hasETag: true,
  body: createProjectBody,
  answer: { kind: 'json', statuses: [201], schema: projectSchema },
})

export const listProjectsSpec = defineOperation({
  id: 'listProjects',
  method: 'get',
  path: '/v1/projects',
  tag,
  summary: 'List projects',
  scope: 'read',
  answer: { kind: 'json', statuses: [200], schema: projectListSchema },
})

export const getProjectSpec = defineOperation({
  id: 'getProject',
  method: 'get',
  path: '/v1/projects/{key}',
  tag,
  summary: 'Show a project',
  scope: 'read',
  hasETag: true,
  params,
  answer: { kind: 'json', statuses: [200], schema: projectSchema },
})

export const updateProjectSpec = defineOperation({
  id: 'updateProject',
  method: 'patch',
  path: '/v1/projects/{key}',
  tag,
  summary: 'Change a project',
  scope: 'admin',
  hasETag: true,
  needsIfMatch: true,
  params,
  body: updateProjectBody,
  answer: { kind: 'json', statuses: [200], schema: projectSchema },
})
