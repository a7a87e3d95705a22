import type { RunId } from '../../domain/id.ts'
import type { Run } from '../../domain/run.ts'
import type { StoreReader } from '../../store/contract.ts'
import { LeaseLostError } from '../../store/errors.ts'
import { getRun } from '../find-by-ref.ts'
import { ApiProblem } from '../problem.ts'

/**
 * Does what only the holder of the run may do. A refusal says what became of the run, so that an agent's operator
 * need not guess whether it was canceled, expired, or never theirs.
 * @throws ApiProblem 409 `lease_lost`
 */
export async function asHolder<T>(
  read: Pick<StoreReader, 'findRun'>,
  runId: RunId,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof LeaseLostError)) throw error
    const detail = `${error.message}: ${tellFate(await getRun(read, runId))}`
    throw new ApiProblem(409, error.code, detail, { hint: 'stop the work and claim again', cause: error })
  }
}

/** Words of the closed lists only: whoever asks may be a stranger to this run. */
function tellFate({ status, reason }: Run): string {
  if (reason !== null) return `the run is ${status} (${reason})`
  return status === 'running' ? 'somebody else holds it' : `the run is ${status}`
}
