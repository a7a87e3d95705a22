import type { Usage } from '../../domain/records.ts'
import type { Tx } from '../transaction.ts'

export async function addUsage(tx: Tx, input: Omit<Usage, 'createdAt'>): Promise<void> {
  await tx.db
    .insertInto('usage')
    .values({
      run_id: input.runId,
      step_instance_id: input.stepInstanceId,
      attempt: input.attempt,
      model: input.model,
      input_token_count: input.inputTokenCount,
      output_token_count: input.outputTokenCount,
      cost_micro_usd: input.costMicroUsd,
      duration_ms: input.durationMs,
      created_at: tx.now,
    })
    .execute()
}
