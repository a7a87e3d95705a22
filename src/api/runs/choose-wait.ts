import type { RunId, WaitId } from '../../domain/id.ts'
import type { Wait } from '../../domain/step.ts'
import type { StoreReader } from '../../store/contract.ts'
import { getRun } from '../find-by-ref.ts'
import { ApiProblem } from '../problem.ts'

/**
 * The open wait that a person means.
 * @throws ApiProblem 409 when the run waits for nothing of the kind, or for several and none was named
 */
export async function chooseWait(
  read: Pick<StoreReader, 'findRun' | 'listOpenWaits'>,
  choice: {
    readonly runId: RunId
    readonly kind: 'approval' | 'question'
    readonly waitId?: WaitId | undefined
  },
): Promise<Wait> {
  const { runId, kind, waitId } = choice
  const run = await getRun(read, runId)
  const waits = await read.listOpenWaits({ runId, kinds: [kind] })
  const wait = waitId === undefined ? waits[0] : waits.find((candidate) => candidate.id === waitId)
  if (wait === undefined) {
    const detail = `run ${runId} is ${run.status} and has no open ${kind}${waitId === undefined ? '' : ` ${waitId}`}`
    throw new ApiProblem(409, 'nothing_to_decide', detail, { hint: 'someone may have decided already' })
  }
  if (waitId === undefined && waits.length > 1) {
    const named = waits.map(({ id, subject }) => `${id} (${subject.slice(0, 100)})`).join(', ')
    throw new ApiProblem(409, 'wait_ambiguous', `run ${runId} has several: ${named}`, {
      hint: 'name one with waitId',
    })
  }
  return wait
}
