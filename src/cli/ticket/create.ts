import type { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { EXIT } from '../exit-codes.ts'
import { collectTexts, collectWords, parseAssignments, parseCount, parseInstant } from '../parse-options.ts'
import type { Act } from '../program.ts'
import { readText } from '../read-text.ts'
import { resolveProject, resolveTicket } from '../resolve.ts'
import { waitForTicket } from '../wait-for-ticket.ts'
import { showTicketChange } from './ticket-text.ts'

type Options = {
  readonly project?: string
  readonly title?: string
  readonly body?: string
  readonly file?: string
  readonly type?: string
  readonly label?: readonly string[]
  readonly priority?: string
  readonly workflow?: string
  readonly agent?: string
  readonly input?: readonly string[]
  readonly dependsOn?: readonly string[]
  readonly notBefore?: string
  readonly draft?: boolean
  readonly idempotencyKey?: string
  readonly wait?: boolean
}

export function configure(command: Command, act: Act): void {
  command
    .argument('[title]', 'one line; else the first line of the text')
    .option('-p, --project <key>', 'project; else SWARM_PROJECT, else the only one')
    .option('-t, --title <text>', 'one line')
    .option('-b, --body <text>', 'the request; - reads standard input')
    .option('-F, --file <path>', 'file with the request; - reads standard input')
    .option('--type <word>', 'bug, feature …; used by routing rules')
    .option('-l, --label <words>', 'label; again or with commas for more', collectWords)
    .option('--priority <number>', '1 is the most urgent, 5 the least')
    .option('--workflow <name>', 'name or name@version, instead of the routing rules')
    .option('--agent <name>', 'agent, instead of the workflow’s')
    .option('-i, --input <name=value>', 'input of the workflow; name:=json for other than text', collectTexts)
    .option('--depends-on <tickets>', 'wait until these are done', collectWords)
    .option('--not-before <when>', 'instant, or duration from now')
    .option('--draft', 'not claimed until `swarm ticket edit --ready`')
    .option('--idempotency-key <text>', 'the same key again gives the same ticket')
    .option('--wait', 'wait for its result, as `swarm run-ticket --wait`')
    .addHelpText(
      'after',
      '\nExamples:\n  swarm ticket create "Fix the login" -F request.md --label web\n  git log -1 | swarm ticket create -t "Review this" -b -',
    )
    .action(
      act<Options>(async (context, [argument], options) => {
        if (argument !== undefined && options.title !== undefined) {
          throw new CliError(EXIT.usage, 'the title is given twice: as an argument and with --title')
        }
        const text = await readText(context, { text: options.body, file: options.file })
        const { title, body } = splitTitle(argument ?? options.title, text)
        const client = await context.connect()
        const project = await resolveProject(context, client, options.project)
        const dependsOn = await Promise.all(
          (options.dependsOn ?? []).map((each) => resolveTicket(context, client, each)),
        )
        const { type, workflow, agent, label, priority, input, notBefore } = options
        const ticket = await client.tickets.create(
          {
            project,
            title,
            ...(body === undefined ? {} : { body }),
            ...(type === undefined ? {} : { type }),
            ...(label === undefined ? {} : { labels: [...label] }),
            ...(priority === undefined
              ? {}
              : { priority: parseCount('--priority', priority, { min: 1, max: 5 }) }),
            ...(workflow === undefined ? {} : { workflow }),
            ...(agent === undefined ? {} : { agent }),
            ...(input === undefined ? {} : { inputs: parseAssignments('--input', input) }),
            ...(notBefore === undefined
              ? {}
              : { notBefore: parseInstant('--not-before', notBefore, Date.now()) }),
            ...(dependsOn.length === 0 ? {} : { dependsOn }),
            ...(options.draft === true ? { isDraft: true } : {}),
          },
          { signal: context.signal, idempotencyKey: options.idempotencyKey },
        )
        if (options.wait === true) return await waitForTicket(context, client, ticket)
        showTicketChange(context, ticket, 'created')
      }),
    )
}

/** Without a title the text's first line is it, as in a commit message; a heading's marks are dropped. */
function splitTitle(title: string | undefined, text: string | undefined): { title: string; body?: string } {
  if (title !== undefined && title.trim() !== '')
    return text === undefined ? { title } : { title, body: text }
  const [first = '', ...rest] = (text ?? '').trimStart().split('\n')
  const heading = first.replace(/^#+\s+/, '').trim()
  if (heading !== '') return { title: heading, body: rest.join('\n').replace(/^\s*\n/, '') }
  throw new CliError(EXIT.usage, 'a ticket needs a title', { hint: 'swarm ticket create "Fix the login"' })
}
