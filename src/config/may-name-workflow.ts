import type { RouteConfig, TrackerConfig } from './config.ts'

/** Whether the configuration may name a workflow for tickets of the tracker: its own setting or column, or a rule. */
export function mayNameWorkflow(
  { project, workflow, columns }: TrackerConfig,
  routes: readonly RouteConfig[],
): boolean {
  if (workflow !== null || typeof columns.workflow === 'string') return true
  return routes.some(({ when }) => when.projects === null || when.projects.includes(project))
}
