import type { Command } from 'commander'
import { parseDurationOption } from '../parse-options.ts'
import type { Act } from '../program.ts'
import { resolveRun } from '../resolve.ts'
import { addProofOptions, type ProofOptions, showLease, toProof } from './claimed-run.ts'

export function configure(command: Command, act: Act): void {
  addProofOptions(command)
    .option('--lease <duration>', 'time until the claim passes without the next one', '60s')
    .action(
      act<ProofOptions & { lease: string }>(async (context, [run = ''], options) => {
        const client = await context.connect()
        const body = { ...toProof(options), leaseTtlMs: parseDurationOption('--lease', options.lease) }
        showLease(context, await client.runs.heartbeat(await resolveRun(context, client, run), body, context))
      }),
    )
}
