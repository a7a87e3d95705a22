import type { Command } from 'commander'
import type { SwarmClient } from '../../client/client.ts'
import type { Act } from '../program.ts'
import { resolveRun } from '../resolve.ts'
import { addProofOptions, type ProofOptions, showFinished, toProof } from './claimed-run.ts'

type FailBody = Parameters<SwarmClient['runs']['fail']>[1]
type Options = ProofOptions & { readonly message: string; readonly reason: string; readonly final?: boolean }

export function configure(command: Command, act: Act): void {
  addProofOptions(command)
    .requiredOption('-m, --message <text>', 'what went wrong')
    .option('--reason <word>', 'from the list of reasons', 'agent_failed')
    .option('--final', 'no further run, whatever the reason allows')
    .action(
      act<Options>(async (context, [run = ''], options) => {
        const client = await context.connect()
        const body: FailBody = {
          ...toProof(options),
          detail: options.message,
          // The API knows the list and answers a wrong word with it.
          reason: options.reason as NonNullable<FailBody['reason']>,
          isFinal: options.final === true,
        }
        showFinished(context, await client.runs.fail(await resolveRun(context, client, run), body, context))
      }),
    )
}
