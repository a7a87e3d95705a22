import { ApiProblem } from '../problem.ts'
import type { ApiRegistry } from './registry-port.ts'

/** @throws ApiProblem 501 where the API was composed without one */
export function getRegistry(registry: ApiRegistry | undefined): ApiRegistry {
  if (registry !== undefined) return registry
  throw new ApiProblem(501, 'no_registry', 'this coordinator registers nothing over the API')
}
