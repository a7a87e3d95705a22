import type { Run } from '../domain/run.ts'
import type { Wait } from '../domain/step.ts'
import type { StoreReader } from '../store/contract.ts'

/** Names of the workflows whose runs wait for this run, directly or further up. */
export async function listWorkflowsAbove(
  read: Pick<StoreReader, 'findRun' | 'listOpenWaits'>,
  run: Run,
): Promise<readonly string[]> {
  if (run.parentStepInstanceId === null) return []
  const waits = await read.listOpenWaits({ kinds: ['run'] })
  const names: string[] = []
  for (let below: Run | undefined = run; below !== undefined && below.parentStepInstanceId !== null; ) {
    const parentStepInstanceId: Run['parentStepInstanceId'] = below.parentStepInstanceId
    const wait: Wait | undefined = waits.find(
      (candidate) => candidate.stepInstanceId === parentStepInstanceId,
    )
    below = wait && (await read.findRun(wait.runId))
    if (below !== undefined && below.workflow !== null) names.push(below.workflow.split('@')[0] ?? '')
  }
  return names
}
