import type { SwarmClient } from '../../../client/client.ts'
import type { DemoTickets } from './demo-tickets.ts'

/**
 * Does what a person does in the demo, through the same API: says yes where a run asks, approves the pull request
 * and merges it. Resolves when both were done.
 */
export async function playReviewer(
  client: SwarmClient,
  tickets: DemoTickets,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all([
    approveRun(client, tickets.approval, say, signal),
    mergeRepair(client, tickets.repair, say, signal),
  ])
}

async function approveRun(
  client: SwarmClient,
  key: string,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const ticket = await waitForStatus(client, key, 'waiting', signal)
  if (ticket?.currentRunId == null) return
  say(`${key}: a person says yes`)
  await client.runs.approve(ticket.currentRunId, { comment: 'go on' }, { signal })
}

async function mergeRepair(
  client: SwarmClient,
  key: string,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const ticket = await waitForStatus(client, key, 'review', signal)
  if (ticket?.pullRequestId == null) return
  say(`${key}: a person reads the diff, approves and merges`)
  await client.pullRequests.approve(ticket.pullRequestId, { comment: 'looks right' }, { signal })
  await client.pullRequests.merge(ticket.pullRequestId, {}, { signal })
}

const POLL_MS = 200
const ENDED = ['done', 'failed', 'canceled']

/** The ticket in that status, or `undefined` when it ended without it. */
async function waitForStatus(client: SwarmClient, key: string, status: string, signal: AbortSignal) {
  for (;;) {
    const ticket = await client.tickets.get(key, { signal })
    if (ticket.status === status) return ticket
    if (ENDED.includes(ticket.status)) return undefined
    await pause(POLL_MS, signal)
  }
}

/** Waits, at most until the signal aborts, which rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { setTimeout } = await import('node:timers/promises')
  await setTimeout(ms, undefined, { signal })
}
