import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { formatEvent, type SwarmEvent } from './event-text.ts'
import { collectWords, parseCount } from './parse-options.ts'
import type { Act } from './program.ts'
import { resolveRun, resolveTicket } from './resolve.ts'

type Options = {
  readonly follow?: boolean
  readonly ticket?: string
  readonly run?: string
  readonly type?: readonly string[]
  readonly after?: string
  readonly limit: string
}

export function configure(command: Command, act: Act): void {
  command
    .option('-f, --follow', 'go on with what happens; from now on, or from --after')
    .option('-t, --ticket <ticket>', 'of this ticket')
    .option('-r, --run <run>', 'of this run')
    .option('--type <words>', 'of these types, such as run.failed', collectWords)
    .option('--after <number>', 'only those after this place in the sequence')
    .option('--limit <number>', 'events at most, up to 1000', '200')
    .action(
      act<Options>(async (context, _args, options) => {
        const client = await context.connect()
        const { ticket, run, type, after } = options
        const query = {
          ...(ticket === undefined ? {} : { ticket: await resolveTicket(context, client, ticket) }),
          ...(run === undefined ? {} : { run: await resolveRun(context, client, run) }),
          ...(type === undefined ? {} : { type }),
          ...(after === undefined
            ? {}
            : { after: parseCount('--after', after, { min: 0, max: Number.MAX_SAFE_INTEGER }) }),
        }
        if (options.follow === true) {
          // A stream waits for a daemon that is away; a daemon that never was is told at once.
          await client.version(context)
          const { signal } = context
          for await (const event of client.events.watch({ ...query, signal })) showEvent(context, event)
          signal.throwIfAborted()
          return
        }
        const limit = parseCount('--limit', options.limit, { min: 1, max: 1000 })
        const { items, lastSeq } = await client.events.list({ ...query, limit }, context)
        for (const event of items) showEvent(context, event)
        if (items.length === limit) context.output.message(`there may be more: add --after ${lastSeq}`)
      }),
    )
}

/** Events are a stream: with `--json` one line each. */
function showEvent({ output }: CliContext, event: SwarmEvent): void {
  if (output.format === 'json') output.jsonLine(event)
  else if (output.format === 'ids') output.line(String(event.seq))
  else output.line(formatEvent(event, output.colors))
}
