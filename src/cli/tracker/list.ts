import type { Command } from 'commander'
import { escapeLine } from '../escape-text.ts'
import { formatReason, formatSince } from '../format.ts'
import type { Act } from '../program.ts'
import { showList } from '../show-list.ts'

export function configure(command: Command, act: Act): void {
  command.action(
    act(async (context) => {
      const client = await context.connect()
      const list = await client.trackers.list(context)
      const { output } = context
      const now = Date.now()
      showList(context, {
        rows: list.items,
        json: list,
        id: ({ name }) => name,
        columns: [
          { title: 'TRACKER', value: ({ name }) => name },
          { title: 'KIND', value: ({ kind }) => kind },
          { title: 'PROJECT', value: ({ project }) => project },
          { title: 'OPEN THERE', value: ({ openThereCount }) => String(openThereCount) },
          { title: 'OPEN HERE', value: ({ openHereCount }) => String(openHereCount) },
          {
            title: 'READ',
            value: ({ lastPollAt }) =>
              lastPollAt === null ? 'never' : `${formatSince(lastPollAt, now)} ago`,
          },
          { title: 'PROBLEM', value: ({ problem }) => problem ?? '', isFlexible: true },
        ],
        emptyHint:
          'no trackers; add one under "trackers" in the configuration, then: swarm tracker check <name>',
      })
      if (output.format !== 'text') return
      for (const { name, notes, noteCount, untold } of list.items) {
        for (const { externalId, problem, fix } of notes) {
          const what = externalId === null ? '' : `${externalId}: `
          output.line(
            `${escapeLine(`${name}: ${what}${problem}`)}${fix === null ? '' : `; ${escapeLine(fix)}`}`,
          )
        }
        if (noteCount > notes.length) output.line(`${name}: ${noteCount - notes.length} more like these`)
        for (const { ticketKey, externalId, ticketStatus, reason, detail } of untold) {
          const why = [formatReason(reason), detail].filter((word) => word).join(': ')
          output.line(
            escapeLine(
              `${name}: ${externalId}: ${ticketKey} is ${ticketStatus}, which could not be written back (${why}); mend it, then restart the daemon`,
            ),
          )
        }
      }
    }),
  )
}
