import type { Json } from '../../domain/json.ts'
import { IdempotencyError } from '../errors.ts'
import { toJson } from '../rows.ts'
import type { Tx } from '../transaction.ts'

/** How long a key is remembered, `ms`: two days, so that "a day at least" holds whenever it is swept. */
const KEY_TTL_MS = 2 * 24 * 60 * 60 * 1000
const SWEEP_COUNT_MAX = 100

/** Answers a repeated request from memory; the answer is kept in the transaction that did the work. */
export async function once<T extends Json>(
  tx: Tx,
  input: { key: string; fingerprint: string },
  work: () => Promise<T>,
): Promise<{ value: T; isReplay: boolean }> {
  const kept = await tx.db
    .selectFrom('idempotency_keys')
    .select(['fingerprint', 'value'])
    .where('key', '=', input.key)
    .executeTakeFirst()
  if (kept !== undefined) {
    if (kept.fingerprint !== input.fingerprint) throw new IdempotencyError(input.key)
    return { value: JSON.parse(kept.value) as T, isReplay: true }
  }
  const value = await work()
  await tx.db
    .insertInto('idempotency_keys')
    .values({ key: input.key, fingerprint: input.fingerprint, value: toJson(value), created_at: tx.now })
    .execute()
  await sweep(tx)
  return { value, isReplay: false }
}

async function sweep(tx: Tx): Promise<void> {
  await tx.db
    .deleteFrom('idempotency_keys')
    .where('key', 'in', (query) =>
      query
        .selectFrom('idempotency_keys')
        .select('key')
        .where('created_at', '<', tx.now - KEY_TTL_MS)
        .orderBy('created_at')
        .limit(SWEEP_COUNT_MAX)
        .$if(tx.dialect.supportsSkipLocked, (old) => old.forUpdate().skipLocked()),
    )
    .execute()
}
