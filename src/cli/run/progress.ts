import type { Command } from 'commander'
import { parseCount } from '../parse-options.ts'
import type { Act } from '../program.ts'
import { resolveRun } from '../resolve.ts'
import { addProofOptions, type ProofOptions, showLease, toProof } from './claimed-run.ts'

export function configure(command: Command, act: Act): void {
  addProofOptions(command)
    .requiredOption('-m, --message <text>', 'what was reached')
    .option('--percent <number>', 'how far it is')
    .action(
      act<ProofOptions & { message: string; percent?: string }>(async (context, [run = ''], options) => {
        const client = await context.connect()
        const { message, percent } = options
        const body = {
          ...toProof(options),
          message,
          ...(percent === undefined
            ? {}
            : { percent: parseCount('--percent', percent, { min: 0, max: 100 }) }),
        }
        showLease(context, await client.runs.progress(await resolveRun(context, client, run), body, context))
      }),
    )
}
