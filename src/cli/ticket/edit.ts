import type { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { EXIT } from '../exit-codes.ts'
import { collectTexts, collectWords, parseAssignments, parseCount, parseInstant } from '../parse-options.ts'
import type { Act } from '../program.ts'
import { readText } from '../read-text.ts'
import { resolveTicket } from '../resolve.ts'
import { showTicketChange } from './ticket-text.ts'

type Options = {
  readonly title?: string
  readonly body?: string
  readonly file?: string
  readonly type?: string
  readonly label?: readonly string[]
  readonly addLabel?: readonly string[]
  readonly removeLabel?: readonly string[]
  readonly priority?: string
  /** `false` with `--no-workflow` */
  readonly workflow?: string | boolean
  readonly agent?: string | boolean
  readonly input?: readonly string[]
  readonly dependsOn?: readonly string[]
  readonly notBefore?: string
  readonly draft?: boolean
  readonly ready?: boolean
}

export function configure(command: Command, act: Act): void {
  command
    .argument('<ticket>', 'key, number or identifier')
    .option('-t, --title <text>', 'one line')
    .option('-b, --body <text>', 'the request; - reads standard input')
    .option('-F, --file <path>', 'file with the request; - reads standard input')
    .option('--type <word>', 'bug, feature …')
    .option('-l, --label <words>', 'these labels and no others', collectWords)
    .option('--add-label <words>', 'these labels too', collectWords)
    .option('--remove-label <words>', 'not these labels', collectWords)
    .option('--priority <number>', '1 is the most urgent, 5 the least')
    .option('--workflow <name>', 'name or name@version')
    .option('--no-workflow', 'back to the routing rules')
    .option('--agent <name>', 'agent')
    .option('--no-agent', 'back to the workflow’s agent')
    .option('-i, --input <name=value>', 'set an input, keep the others; name:=json', collectTexts)
    .option('--depends-on <tickets>', 'wait for these and no others', collectWords)
    .option('--not-before <when>', 'instant, or duration from now')
    .option('--draft', 'do not claim it for now')
    .option('--ready', 'a draft no more')
    .action(
      act<Options>(async (context, [ticket = ''], options) => {
        if (options.draft === true && options.ready === true) {
          throw new CliError(EXIT.usage, '--draft and --ready contradict each other')
        }
        const body = await readText(context, { text: options.body, file: options.file })
        const client = await context.connect()
        const key = await resolveTicket(context, client, ticket)
        const before = await client.tickets.get(key, context)
        const labels = toLabels(before.labels, options)
        const dependsOn =
          options.dependsOn === undefined
            ? undefined
            : await Promise.all(options.dependsOn.map((each) => resolveTicket(context, client, each)))
        const { title, type, priority, workflow, agent, input, notBefore } = options
        const change = {
          ...(title === undefined ? {} : { title }),
          ...(body === undefined ? {} : { body }),
          ...(type === undefined ? {} : { type }),
          ...(labels === undefined ? {} : { labels }),
          ...(priority === undefined
            ? {}
            : { priority: parseCount('--priority', priority, { min: 1, max: 5 }) }),
          ...(workflow === false ? { workflow: null } : typeof workflow === 'string' ? { workflow } : {}),
          ...(agent === false ? { agent: null } : typeof agent === 'string' ? { agent } : {}),
          ...(input === undefined
            ? {}
            : { inputs: { ...before.inputs, ...parseAssignments('--input', input) } }),
          ...(notBefore === undefined
            ? {}
            : { notBefore: parseInstant('--not-before', notBefore, Date.now()) }),
          ...(dependsOn === undefined ? {} : { dependsOn }),
          ...(options.draft === true ? { status: 'draft' as const } : {}),
          ...(options.ready === true ? { status: 'pending' as const } : {}),
        }
        if (Object.keys(change).length === 0) {
          throw new CliError(EXIT.usage, 'nothing to change', { hint: 'swarm ticket edit --help' })
        }
        showTicketChange(
          context,
          await client.tickets.update(key, before.version, change, context),
          'changed',
        )
      }),
    )
}

function toLabels(before: readonly string[], options: Options): string[] | undefined {
  const { label, addLabel, removeLabel } = options
  if (label === undefined && addLabel === undefined && removeLabel === undefined) return undefined
  const labels = new Set([...(label ?? before), ...(addLabel ?? [])])
  for (const each of removeLabel ?? []) labels.delete(each)
  return [...labels]
}
