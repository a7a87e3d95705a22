import type { SwarmClient } from '../client/client.ts'
import type { CliContext } from './context.ts'
import { escapeLine } from './escape-text.ts'
import { formatMilestone, isMilestone } from './event-text.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { formatReason, paintStatus } from './format.ts'
import { type Progress, startProgress } from './progress.ts'
import { nextCommand } from './run/run-text.ts'
import { showOne } from './show-one.ts'
import type { Ticket } from './ticket/ticket-text.ts'

/** Looks at the ticket also without an event: a safety net, not the way it is noticed. */
const RELOOK_MS = 5_000
/** Reasons of a waiting ticket that pass without a person. */
const PASSING_REASONS: readonly (string | null)[] = [
  'waiting_for_time',
  'waiting_for_effect',
  'waiting_for_run',
  'dependency_open',
]

/**
 * Waits until the ticket is over or waits for a person, showing what happens meanwhile. The exit code tells:
 * done 0, failed or canceled 1, waiting for a person 6, a budget or rule said no 8.
 * @throws the signal's reason: `--timeout` or Ctrl-C
 */
export async function waitForTicket(
  context: CliContext,
  client: SwarmClient,
  ticket: Ticket,
): Promise<ExitCode> {
  const progress = startProgress(context.terminal, context.output)
  try {
    const settled = await untilSettled(context, client, ticket, progress)
    progress.stop()
    await showResult(context, client, settled)
    return toExitCode(settled)
  } finally {
    progress.stop()
  }
}

async function untilSettled(
  context: CliContext,
  client: SwarmClient,
  ticket: Ticket,
  progress: Progress,
): Promise<Ticket> {
  const done = new AbortController()
  const signal = AbortSignal.any([context.signal, done.signal])
  let current = ticket
  let step = ''
  const { promise: settled, resolve, reject } = Promise.withResolvers<Ticket>()
  const look = async () => {
    current = await client.tickets.get(ticket.key, { signal })
    progress.status([current.key, current.status, step].join(' '))
    if (isSettled(current)) resolve(current)
  }
  const follow = async () => {
    // All that happened to a ticket without a run is news; of an older one only what comes.
    const from = ticket.runCount === 0 ? { after: 0 } : {}
    // The first look comes after the stream stands, so that nothing falls between the two.
    const onOpen = () => void look().catch(reject)
    for await (const event of client.events.watch({ ...from, ticket: ticket.key, signal, onOpen })) {
      if (isMilestone(event)) progress.line(formatMilestone(event, context.output.messageColors))
      if (event.type === 'step.started' && typeof event.data.key === 'string') step = event.data.key
      if (event.type.startsWith('ticket.') || event.type === 'step.started') await look()
    }
  }
  const timer = setInterval(() => void look().catch(reject), RELOOK_MS)
  context.signal.addEventListener('abort', () => reject(context.signal.reason), { once: true })
  try {
    context.signal.throwIfAborted()
    await look()
    follow().catch(reject)
    return await settled
  } finally {
    clearInterval(timer)
    done.abort()
  }
}

function isSettled({ status, reason }: Ticket): boolean {
  if (['done', 'failed', 'canceled', 'review', 'draft'].includes(status)) return true
  return status === 'waiting' && !PASSING_REASONS.includes(reason)
}

function toExitCode({ status, reason }: Ticket): ExitCode {
  if (status === 'done') return EXIT.ok
  if (status === 'review' || status === 'waiting' || status === 'draft') return EXIT.waiting
  if (reason === 'budget') return EXIT.refused
  return EXIT.failed
}

async function showResult(context: CliContext, client: SwarmClient, ticket: Ticket): Promise<void> {
  const { output } = context
  showOne(output, ticket, {
    id: ({ key }) => key,
    text: ({ key, status, reason, detail }) => {
      const why = [formatReason(reason), detail ?? ''].filter((word) => word !== '').join(': ')
      output.line(
        `${key} ${paintStatus(status, status, output.colors)}${why === '' ? '' : ` — ${escapeLine(why)}`}`,
      )
    },
  })
  for (const hint of await listNextCommands(client, ticket, context)) output.message(hint)
}

async function listNextCommands(client: SwarmClient, ticket: Ticket, context: CliContext): Promise<string[]> {
  const { key, status } = ticket
  if (status === 'review') return [`look: swarm pr diff ${key}`, `then: swarm pr merge ${key}`]
  if (status === 'failed') {
    return [`look: swarm run show ${key}, swarm logs ${key}`, `again: swarm ticket retry ${key}`]
  }
  if (status === 'draft') return [`release it: swarm ticket edit ${key} --ready`]
  if (status !== 'waiting' || ticket.currentRunId === null) return []
  const run = await client.runs.get(ticket.currentRunId, context)
  return run.openWaits.flatMap(({ kind, subject }) => {
    const next = nextCommand(kind, key)
    return next === undefined ? [] : [`${escapeLine(subject)}: ${next}`]
  })
}
