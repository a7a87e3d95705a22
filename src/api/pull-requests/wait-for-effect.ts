import type { Effect } from '../../domain/effect.ts'
import { isTerminal } from '../../domain/status.ts'
import type { Store } from '../../store/contract.ts'
import { createWake } from '../wake.ts'

/** The commit may be another process's, which wakes nobody here, `ms` */
const LOOK_AGAIN_MS = 1_000

/** The effect when it has ended, or as it is when the time is up or the caller hangs up. */
export async function waitForEffect(
  store: Pick<Store, 'read' | 'subscribe'>,
  effect: Effect,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Effect> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const wake = createWake()
  const unsubscribe = store.subscribe((events) => {
    if (events.some(({ type }) => type.startsWith('effect.') || type.startsWith('pull_request.'))) wake.set()
  })
  try {
    for (;;) {
      wake.reset()
      const current = (await store.read.findEffect({ effectId: effect.id })) ?? effect
      if (isTerminal('effect', current.status) || patience.aborted) return current
      await wake.wait(LOOK_AGAIN_MS, patience)
    }
  } finally {
    unsubscribe()
  }
}
