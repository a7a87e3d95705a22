import type { Command } from 'commander'
import { escapeLine } from '../escape-text.ts'
import { formatReason, formatSince } from '../format.ts'
import type { Act } from '../program.ts'
import { showList } from '../show-list.ts'
import { groupProblems } from './problem-text.ts'

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
          {
            title: 'OPEN THERE',
            value: (each) => (each.lastPollAt === null ? '?' : String(each.openThereCount)),
          },
          {
            title: 'OPEN HERE',
            value: (each) => (each.lastPollAt === null ? '?' : String(each.openHereCount)),
          },
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
        for (const { text, fix } of groupProblems(notes)) {
          output.line(escapeLine(`${name}: ${text}${fix === null ? '' : `; ${fix}`}`))
        }
        if (noteCount > notes.length) output.line(`${name}: ${noteCount - notes.length} more like these`)
        for (const { ticketKey, externalId, ticketStatus, reason, detail } of untold) {
          const why = [formatReason(reason), detail].filter((word) => word).join(': ')
          output.line(
            escapeLine(
              `${name}: ticket ${externalId}: ${ticketKey} is ${ticketStatus}, which could not be written back (${why}); mend it, then restart the daemon`,
            ),
          )
        }
      }
    }),
  )
}
