import type { SwarmClient } from '../../../client/client.ts'
import type { CliContext } from '../../context.ts'
import { escapeLine } from '../../escape-text.ts'

/** Events that tell the story; the others are for closer looks. */
const TOLD: Readonly<Record<string, string>> = {
  'ticket.created': 'filed',
  'ticket.blocked': 'waits for another ticket',
  'ticket.unblocked': 'may begin, the ticket it waited for is done',
  'run.claimed': 'claimed',
  'attempt.started': 'starts',
  'attempt.failed': 'failed',
  'step.retried': 'will be tried again',
  'step.succeeded': 'succeeded',
  'agent.milestone': 'says',
  'pull_request.opened': 'pull request opened',
  'pull_request.reviewed': 'pull request reviewed',
  'pull_request.merged': 'pull request merged',
  'ticket.waiting': 'waits for a person',
  'ticket.in_review': 'is in review',
  'ticket.done': 'is done',
  'ticket.failed': 'failed for good',
}

/** Tells what happens, a line each, while it happens. `end` stops it; may be called twice. */
export function followDemo(
  context: CliContext,
  client: SwarmClient,
  signal: AbortSignal,
): { end(): Promise<void> } {
  const stop = new AbortController()
  const startedAt = Date.now()
  const keys = new Map<string, string>()
  const told = (async () => {
    const events = client.events.watch({ after: 0, signal: AbortSignal.any([signal, stop.signal]) })
    for await (const event of events) {
      const words = TOLD[event.type]
      if (words === undefined || event.ticketId === null) continue
      const key = keys.get(event.ticketId) ?? (await client.tickets.get(event.ticketId)).key
      keys.set(event.ticketId, key)
      const seconds = ((Date.now() - startedAt) / 1000).toFixed(1).padStart(6)
      context.output.message(
        `${seconds}s ${key}: ${escapeLine(`${describeStep(event.data)}${words}${describeMore(event.data)}`)}`,
      )
    }
  })().catch((error: unknown) => {
    if (!signal.aborted && !stop.signal.aborted)
      context.output.message(`The progress display ended: ${String(error)}`)
  })
  return {
    async end() {
      stop.abort()
      await told
    },
  }
}

function describeStep(data: Readonly<Record<string, unknown>>): string {
  const step = data.step ?? data.stepKey ?? data.key
  return typeof step === 'string' && !/^DEMO-/.test(step) ? `${step} ` : ''
}

function describeMore(data: Readonly<Record<string, unknown>>): string {
  const more = data.text ?? data.reason
  return typeof more === 'string' ? ` (${more.slice(0, 100)})` : ''
}
