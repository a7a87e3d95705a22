import { ApiProblem } from '../problem.ts'
import type { ApiMaintenance } from './maintenance-port.ts'

/** @throws ApiProblem 503 where nobody takes care of a state directory */
export function getMaintenance(maintenance: ApiMaintenance | undefined): ApiMaintenance {
  if (maintenance !== undefined) return maintenance
  throw new ApiProblem(503, 'unavailable', 'this server has no state directory to take care of')
}
