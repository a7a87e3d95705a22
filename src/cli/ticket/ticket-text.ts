import type { SwarmClient } from '../../client/client.ts'
import type { CliContext } from '../context.ts'
import { formatReason, formatSince, paintStatus } from '../format.ts'
import { showFields, showText } from '../show-fields.ts'
import { showOne } from '../show-one.ts'
import type { Column } from '../table.ts'

export type Ticket = Awaited<ReturnType<SwarmClient['tickets']['get']>>

/** Columns of a list of tickets. */
export function ticketColumns({ output }: CliContext, nowMs: number): readonly Column<Ticket>[] {
  return [
    { title: 'TICKET', value: ({ key }) => key },
    {
      title: 'STATUS',
      value: ({ status }) => status,
      paint: (text, { status }) => paintStatus(text, status, output.colors),
    },
    { title: 'PRIO', value: ({ priority }) => String(priority) },
    { title: 'TITLE', value: ({ title }) => title, isFlexible: true },
    { title: 'WHY', value: ({ reason }) => formatReason(reason) },
    { title: 'AGE', value: ({ createdAt }) => formatSince(createdAt, nowMs) },
  ]
}

/** A ticket after something was done to it: its key for `-q`, a line for people, all of it as JSON. */
export function showTicketChange({ output }: CliContext, ticket: Ticket, did: string): void {
  showOne(output, ticket, {
    id: ({ key }) => key,
    text: ({ key, status }) => output.line(`${key} ${did} (${paintStatus(status, status, output.colors)})`),
  })
}

/** Everything a person asks of a ticket. */
export function showTicket({ output }: CliContext, ticket: Ticket): void {
  output.line(
    output.colors.bold(`${ticket.key}  ${paintStatus(ticket.status, ticket.status, output.colors)}`),
  )
  showFields(output, [
    ['title', ticket.title],
    ['why', formatReason(ticket.reason)],
    ['detail', ticket.detail],
    ['type', ticket.type],
    ['labels', ticket.labels.join(', ')],
    ['priority', ticket.priority],
    ['workflow', ticket.workflow],
    ['agent', ticket.agent],
    ['inputs', Object.keys(ticket.inputs).length === 0 ? null : JSON.stringify(ticket.inputs)],
    ['outputs', ticket.outputs === null ? null : JSON.stringify(ticket.outputs)],
    ['not before', ticket.notBefore],
    ['runs', ticket.runCount],
    ['run', ticket.currentRunId],
    ['branch', ticket.branch],
    ['pull request', ticket.pullRequestId],
    ['dead since', ticket.deadAt],
    ['tracker', ticket.tracker === null ? null : `${ticket.tracker}, ${ticket.externalId} there`],
    ['created', `${ticket.createdAt} by ${ticket.createdBy}`],
    ['finished', ticket.finishedAt],
  ])
  showText(output, ticket.body)
}
