import { collectGarbageSpec } from '../../rest-schema/operations/maintenance.ts'
import { operation } from '../operation.ts'
import { getMaintenance } from './get-maintenance.ts'
import type { ApiMaintenance } from './maintenance-port.ts'

export function collectGarbage({ maintenance }: { readonly maintenance?: ApiMaintenance | undefined }) {
  return operation(collectGarbageSpec, async ({ body: { isDryRun }, signal }) => ({
    status: 200,
    body: await getMaintenance(maintenance).collectGarbage({ isDryRun, signal }),
  }))
}
