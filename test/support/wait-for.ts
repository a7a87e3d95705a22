import { setTimeout as delay } from 'node:timers/promises'
import type { SwarmClient } from '../../src/client/client.ts'

const POLL_MS = 50
const TIMEOUT_MS = 30_000

/** Waits for a fact: the first answer that is not `undefined`. Says what it saw last when it never came. */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined>,
  timeoutMs: number = TIMEOUT_MS,
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  let trouble: unknown
  while (Date.now() < deadline) {
    try {
      const seen = await look()
      if (seen !== undefined) return seen
    } catch (error) {
      trouble = error
    }
    await delay(POLL_MS)
  }
  throw new Error(`${what} did not happen within ${timeoutMs} ms`, { cause: trouble })
}

type Ticket = Awaited<ReturnType<SwarmClient['tickets']['get']>>
const ENDED = ['done', 'failed', 'canceled']

/** The ticket once it has the status; fails early when it ends with another one. */
export async function waitForTicket(
  client: SwarmClient,
  key: string,
  status: Ticket['status'],
  timeoutMs: number = TIMEOUT_MS,
): Promise<Ticket> {
  const ticket = await waitFor(
    `ticket ${key} ${status}`,
    async () => {
      const seen = await client.tickets.get(key)
      return seen.status === status || ENDED.includes(seen.status) ? seen : undefined
    },
    timeoutMs,
  )
  if (ticket.status !== status) {
    throw new Error(`ticket ${key} is ${ticket.status} (${ticket.reason}: ${ticket.detail}), not ${status}`)
  }
  return ticket
}

/** The first event of this type about the ticket, as it happens or has happened. */
export async function waitForEvent(
  client: SwarmClient,
  key: string,
  fits: (event: { type: string; data: Readonly<Record<string, unknown>> }) => boolean,
): Promise<void> {
  const stop = new AbortController()
  const timeout = AbortSignal.timeout(TIMEOUT_MS)
  for await (const event of client.events.watch({
    after: 0,
    ticket: key,
    signal: AbortSignal.any([stop.signal, timeout]),
  })) {
    if (!fits(event)) continue
    stop.abort()
    return
  }
  throw new Error(`the event about ${key} did not happen within ${TIMEOUT_MS} ms`)
}
