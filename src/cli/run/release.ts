import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { resolveRun } from '../resolve.ts'
import { showOne } from '../show-one.ts'
import { addProofOptions, type ProofOptions, toProof } from './claimed-run.ts'

export function configure(command: Command, act: Act): void {
  addProofOptions(command)
    .option('-m, --message <text>', 'why')
    .action(
      act<ProofOptions & { message?: string }>(async (context, [run = ''], options) => {
        const client = await context.connect()
        const { message } = options
        const body = { ...toProof(options), ...(message === undefined ? {} : { detail: message }) }
        const released = await client.runs.release(await resolveRun(context, client, run), body, context)
        showOne(context.output, released, {
          id: ({ runId }) => runId,
          text: ({ runId }) => context.output.line(`${runId} is given back`),
        })
      }),
    )
}
