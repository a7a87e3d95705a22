import { createBackupSpec } from '../../rest-schema/operations/maintenance.ts'
import { toInstant } from '../instant.ts'
import { operation } from '../operation.ts'
import { ApiProblem } from '../problem.ts'
import { getMaintenance } from './get-maintenance.ts'
import type { ApiMaintenance } from './maintenance-port.ts'

export function createBackup({ maintenance }: { readonly maintenance?: ApiMaintenance | undefined }) {
  return operation(createBackupSpec, async ({ body, signal }) => {
    try {
      const { createdAt, ...report } = await getMaintenance(maintenance).backUp({ ...body, signal })
      return { status: 201, body: { ...report, createdAt: toInstant(createdAt) } }
    } catch (error) {
      throw toProblem(error)
    }
  })
}

/** What is wrong with the path or the disk is for the caller to read; everything else is not. */
function toProblem(error: unknown): unknown {
  if (!(error instanceof Error) || error.name !== 'BackupError') return error
  const isThere = 'code' in error && error.code === 'target_exists'
  return new ApiProblem(isThere ? 409 : 422, isThere ? 'conflict' : 'backup_refused', error.message, {
    cause: error,
  })
}
