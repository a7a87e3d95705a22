import { defineOperation } from '../operation.ts'
import {
  agentListSchema,
  agentSchema,
  nameParams,
  registerAgentBody,
  validationSchema,
  versionQuery,
  workflowListSchema,
  workflowSchema,
  workflowTextBody,
} from '../registry.ts'

export const listAgentsSpec = defineOperation({
  id: 'listAgents',
  method: 'get',
  path: '/v1/agents',
  tag: 'agents',
  summary: 'List agents',
  scope: 'read',
  answer: { kind: 'json', statuses: [200], schema: agentListSchema },
})

export const getAgentSpec = defineOperation({
  id: 'getAgent',
  method: 'get',
  path: '/v1/agents/{name}',
  tag: 'agents',
  summary: 'Show an agent',
  scope: 'read',
  params: nameParams,
  query: versionQuery,
  answer: { kind: 'json', statuses: [200], schema: agentSchema },
})

export const registerAgentSpec = defineOperation({
  id: 'registerAgent',
  method: 'post',
  path: '/v1/agents',
  tag: 'agents',
  summary: 'Register an agent package',
  scope: 'admin',
  body: registerAgentBody,
  answer: { kind: 'json', statuses: [201], schema: agentSchema },
})

export const validateAgentSpec = defineOperation({
  id: 'validateAgent',
  method: 'post',
  path: '/v1/agents/validate',
  tag: 'agents',
  summary: 'Check an agent package',
  scope: 'admin',
  body: registerAgentBody,
  answer: { kind: 'json', statuses: [200], schema: validationSchema },
})

export const listWorkflowsSpec = defineOperation({
  id: 'listWorkflows',
  method: 'get',
  path: '/v1/workflows',
  tag: 'workflows',
  summary: 'List workflows',
  scope: 'read',
  answer: { kind: 'json', statuses: [200], schema: workflowListSchema },
})

export const getWorkflowSpec = defineOperation({
  id: 'getWorkflow',
  method: 'get',
  path: '/v1/workflows/{name}',
  tag: 'workflows',
  summary: 'Show a workflow',
  scope: 'read',
  params: nameParams,
  query: versionQuery,
  answer: { kind: 'json', statuses: [200], schema: workflowSchema },
})

export const registerWorkflowSpec = defineOperation({
  id: 'registerWorkflow',
  method: 'post',
  path: '/v1/workflows',
  tag: 'workflows',
  summary: 'Register a workflow',
  scope: 'admin',
  body: workflowTextBody,
  answer: { kind: 'json', statuses: [201], schema: workflowSchema },
})

export const validateWorkflowSpec = defineOperation({
  id: 'validateWorkflow',
  method: 'post',
  path: '/v1/workflows/validate',
  tag: 'workflows',
  summary: 'Check a workflow without registering it',
  scope: 'read',
  body: workflowTextBody,
  answer: { kind: 'json', statuses: [200], schema: validationSchema },
})
