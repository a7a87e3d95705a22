import type { SwarmClient } from '../../../client/client.ts'
import type { DemoRepository } from './demo-repository.ts'
import type { DemoTickets } from './demo-tickets.ts'

export type Finding = { readonly fact: string; readonly ok: boolean; readonly seen: string }

type Get<T extends (...args: never[]) => Promise<unknown>> = Awaited<ReturnType<T>>
export type DemoRow = {
  readonly ticket: Get<SwarmClient['tickets']['get']>
  readonly run: Get<SwarmClient['runs']['get']> | undefined
  readonly pullRequest: Get<SwarmClient['pullRequests']['get']> | undefined
}

/** Every ticket of the demo with its last run and its pull request, in the order they were filed. */
export async function loadRows(client: SwarmClient, tickets: DemoTickets): Promise<readonly DemoRow[]> {
  return await Promise.all(
    Object.values(tickets).map(async (key) => {
      const ticket = await client.tickets.get(key)
      return {
        ticket,
        run: ticket.currentRunId === null ? undefined : await client.runs.get(ticket.currentRunId),
        pullRequest:
          ticket.pullRequestId === null ? undefined : await client.pullRequests.get(ticket.pullRequestId),
      }
    }),
  )
}

const FLAKY_ATTEMPT_COUNT = 3
const FLAKY_BACKOFF_MS = 1_000

/** Whether what the demo claims really happened, from the records and from the repository itself. */
export async function judgeDemo(
  tickets: DemoTickets,
  rows: readonly DemoRow[],
  repository: DemoRepository,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const rowOf = (key: string) => {
    const row = rows.find((candidate) => candidate.ticket.key === key)
    if (row === undefined) throw new Error(`ticket ${key} was not loaded`)
    return row
  }
  const echo = rowOf(tickets.echo)
  const repair = rowOf(tickets.repair)
  const dependent = rowOf(tickets.dependent)
  const flaky = rowOf(tickets.flaky)
  const approval = rowOf(tickets.approval)
  const { pullRequest } = repair
  const mergeCommit = pullRequest?.mergeCommit ?? null
  const attempts = flaky.run?.steps[0]?.attempts ?? []
  const message = echo.ticket.outputs?.message

  return [
    finding('the echo gave back what it was given', message === 'hello from the demo', String(message)),
    finding('the repair is done', repair.ticket.status === 'done', describe(repair)),
    finding(
      'its pull request was approved and merged',
      pullRequest?.status === 'merged' && pullRequest.reviewState === 'approved',
      `${pullRequest?.status ?? 'none'}, ${pullRequest?.reviewState ?? 'none'}`,
    ),
    finding(
      'the branch is in the repository',
      repair.ticket.branch !== null && (await repository.hasBranch(repair.ticket.branch, signal)),
      repair.ticket.branch ?? 'no branch',
    ),
    finding(
      'the repair is on main',
      mergeCommit !== null && (await repository.isRepaired(mergeCommit, signal)),
      mergeCommit ?? 'no merge commit',
    ),
    finding(
      'the dependent ticket ran after the merge, and the tests pass on main',
      dependent.ticket.status === 'done' && isAfter(dependent.run?.startedAt, pullRequest?.mergedAt),
      describe(dependent),
    ),
    finding(
      `the failing ticket is a dead letter after ${FLAKY_ATTEMPT_COUNT} attempts`,
      flaky.ticket.status === 'failed' &&
        flaky.ticket.deadAt !== null &&
        attempts.length === FLAKY_ATTEMPT_COUNT,
      `${describe(flaky)}, ${attempts.length} attempts`,
    ),
    finding(
      'no attempt began before its backoff had passed',
      attempts.every((attempt, index) => {
        const before = attempts[index - 1]
        if (before?.finishedAt == null) return index === 0
        return toMs(attempt.startedAt) - toMs(before.finishedAt) >= FLAKY_BACKOFF_MS
      }),
      attempts.map((attempt) => attempt.startedAt).join(', '),
    ),
    finding(
      'the approval was given by a person and the run went on',
      approval.ticket.status === 'done',
      describe(approval),
    ),
    finding(
      'no sandbox is left',
      rows.every((row) => row.run?.sandboxes.every((sandbox) => sandbox.status === 'gone') ?? true),
      rows.flatMap((row) => row.run?.sandboxes.map((sandbox) => sandbox.status) ?? []).join(', '),
    ),
  ]
}

function finding(fact: string, ok: boolean, seen: string): Finding {
  return { fact, ok, seen }
}

function describe({ ticket }: DemoRow): string {
  return ticket.reason === null ? ticket.status : `${ticket.status} (${ticket.reason})`
}

function isAfter(
  later: string | number | null | undefined,
  earlier: string | number | null | undefined,
): boolean {
  return later != null && earlier != null && toMs(later) >= toMs(earlier)
}

export function toMs(instant: string | number): number {
  return typeof instant === 'number' ? instant : Date.parse(instant)
}
