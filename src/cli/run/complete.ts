import type { Command } from 'commander'
import { collectTexts, parseAssignments } from '../parse-options.ts'
import type { Act } from '../program.ts'
import { resolveRun } from '../resolve.ts'
import { addProofOptions, type ProofOptions, showFinished, toProof } from './claimed-run.ts'

export function configure(command: Command, act: Act): void {
  addProofOptions(command)
    .option(
      '-o, --output <name=value>',
      'an output of the ticket; name:=json for other than text',
      collectTexts,
    )
    .action(
      act<ProofOptions & { output?: readonly string[] }>(async (context, [run = ''], options) => {
        const client = await context.connect()
        const { output } = options
        const outputs = output === undefined ? {} : { outputs: parseAssignments('--output', output) }
        const body = { ...toProof(options), ...outputs }
        showFinished(
          context,
          await client.runs.complete(await resolveRun(context, client, run), body, context),
        )
      }),
    )
}
