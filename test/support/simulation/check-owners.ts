import { isTerminal } from '../../../src/domain/status.ts'
import { Violation } from './observer.ts'
import type { RunRow, Snapshot, TicketRow } from './observer-snapshot.ts'

/** P8: every ticket that is not terminal is owned by a run, a queue or a person. */
export function checkOwners(snapshot: Snapshot): void {
  const { tickets, runs, dependencies } = snapshot
  const live = new Map<string, RunRow[]>()
  for (const run of runs.values()) {
    if ((run.status === 'running') !== (run.lease_holder !== null)) {
      throw new Violation('P1: a lease is live or absent', `${run.id} is ${run.status}`)
    }
    if (isTerminal('run', run.status)) continue
    live.set(run.ticket_id, [...(live.get(run.ticket_id) ?? []), run])
  }
  for (const step of snapshot.steps.values()) {
    const run = runs.get(step.run_id)
    if (run !== undefined && isTerminal('run', run.status) && !isTerminal('step', step.status)) {
      throw new Violation(
        'P5: an ended run holds nothing that lives',
        `${step.key} of ${run.id} is ${step.status}`,
      )
    }
  }
  const needs = new Map<string, TicketRow[]>()
  for (const { ticket_id, depends_on_id } of dependencies) {
    const needed = tickets.get(depends_on_id)
    if (needed !== undefined) needs.set(ticket_id, [...(needs.get(ticket_id) ?? []), needed])
  }
  for (const ticket of tickets.values()) {
    const own = live.get(ticket.id) ?? []
    if (own.filter((run) => run.parent_step_instance_id === null).length > 1) {
      throw new Violation('P1: one live run per ticket', ticket.key)
    }
    if (!isOwned(ticket, own, needs.get(ticket.id) ?? [], snapshot)) {
      throw new Violation(
        'P8: every ticket has an owner',
        `${ticket.key} is ${ticket.status} and nobody has it`,
      )
    }
  }
}

function isOwned(
  ticket: TicketRow,
  live: readonly RunRow[],
  needs: readonly TicketRow[],
  { waitingRunIds }: Snapshot,
): boolean {
  switch (ticket.status) {
    case 'pending':
      return live.length === 0 && needs.every(({ status }) => status === 'done')
    case 'blocked':
      if (needs.some(({ status }) => status === 'failed' || status === 'canceled')) {
        return ticket.reason === 'dependency_failed' || ticket.reason === 'dependency_canceled'
      }
      return needs.some(({ status }) => status !== 'done')
    case 'running':
      return live.some(({ status }) => status === 'running' || status === 'queued')
    case 'waiting':
      return live.some(({ id }) => waitingRunIds.has(id))
    case 'done':
    case 'failed':
    case 'canceled':
      // A child run that is driven elsewhere is asked to end, and ends with its sandboxes.
      return live.every((run) => run.parent_step_instance_id !== null)
    default:
      return true
  }
}
