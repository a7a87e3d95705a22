import type { AgentRequest } from './contract.ts'

/**
 * The paths of `input.json` once more, as environment: a driver without a file system of its own (`none`) puts
 * the sandbox's paths somewhere else and says so in arguments and environment, which it starts, but not in
 * files, which it does not read.
 */
export function toPathEnv({ layout, hasWorkspace, prompt }: AgentRequest): Record<string, string> {
  return {
    ...(hasWorkspace ? { SWARM_WORKSPACE: layout.workspace } : {}),
    ...(prompt === null ? {} : { SWARM_PROMPT_FILE: layout.prompt }),
  }
}
