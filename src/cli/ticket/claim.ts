import type { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { EXIT } from '../exit-codes.ts'
import { collectWords, parseDurationOption } from '../parse-options.ts'
import type { Act } from '../program.ts'
import { resolveProject, resolveTicket } from '../resolve.ts'
import { showOne } from '../show-one.ts'

type Options = {
  readonly holder: string
  readonly lease: string
  readonly project?: string
  readonly label?: readonly string[]
  readonly type?: readonly string[]
}

export function configure(command: Command, act: Act): void {
  command
    .argument('[ticket]', 'key, number or identifier; else the best pending one')
    .requiredOption('--holder <name>', 'name you give yourself, the same in every call of the run')
    .option('--lease <duration>', 'time until the claim passes without `swarm run heartbeat`', '60s')
    .option('-p, --project <key>', 'the best one of this project')
    .option('-l, --label <words>', 'the best one with all of these labels', collectWords)
    .option('--type <words>', 'the best one of these types', collectWords)
    .addHelpText(
      'after',
      '\nThen: swarm run heartbeat|progress|complete|fail|release <run> --holder … --epoch …',
    )
    .action(
      act<Options>(async (context, [ticket], options) => {
        const client = await context.connect()
        const { holder, project, label, type } = options
        const lease = { holder, leaseTtlMs: parseDurationOption('--lease', options.lease) }
        const claim =
          ticket === undefined
            ? await client.tickets.claimNext(
                {
                  ...lease,
                  ...(project === undefined
                    ? {}
                    : { project: await resolveProject(context, client, project) }),
                  ...(label === undefined ? {} : { labels: [...label] }),
                  ...(type === undefined ? {} : { types: [...type] }),
                },
                context,
              )
            : await client.tickets.claim(await resolveTicket(context, client, ticket), lease, context)
        if (claim === undefined) {
          throw new CliError(EXIT.notFound, 'nothing is to be done', { code: 'nothing_pending' })
        }
        const { output } = context
        showOne(output, claim, {
          id: ({ run }) => run.id,
          text: ({ ticket: { key }, run, lease: { epoch, expiresAt } }) =>
            output.line(`${key} is yours until ${expiresAt}: run ${run.id}, epoch ${epoch}`),
        })
      }),
    )
}
