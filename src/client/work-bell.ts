import { ApiError } from './api-error.ts'
import type { SwarmClient } from './client.ts'
import { pause } from './insist.ts'

/** After these a ticket may be there to be claimed. */
const WORK_EVENTS = ['ticket.created', 'ticket.updated', 'ticket.unblocked', 'ticket.requeued']

/** Says when it is worth asking for work again. */
export type WorkBell = {
  /** Ends when something happened since the last wait, after `timeoutMs`, or when the signal aborts */
  wait(timeoutMs: number, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/**
 * Listens to events from the first wait on. A token without the scope `read` hears nothing: then the timeouts
 * alone say when to ask.
 */
export function openWorkBell(client: SwarmClient, onTrouble: (error: unknown) => void): WorkBell {
  const closed = new AbortController()
  let rung = new AbortController()
  let isDeaf = false
  let listening: Promise<void> | undefined

  async function listen(): Promise<void> {
    const ring = () => rung.abort()
    try {
      // What happened before the stream stood was not heard: `onOpen` rings, too.
      for await (const _ of client.events.watch({ type: WORK_EVENTS, signal: closed.signal, onOpen: ring }))
        ring()
    } catch (error) {
      isDeaf = error instanceof ApiError && error.status === 403
      if (!isDeaf) onTrouble(error)
    }
  }

  return {
    async wait(timeoutMs, signal) {
      if (!isDeaf) {
        listening ??= listen().finally(() => {
          listening = undefined
        })
      }
      await pause(timeoutMs, AbortSignal.any([signal, rung.signal]))
      rung = new AbortController()
    },
    async close() {
      closed.abort()
      await listening
    },
  }
}
