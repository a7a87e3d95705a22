import type { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { parseCount } from '../parse-options.ts'
import { showOne } from '../show-one.ts'

/** What an outside agent says with every call for a run that it claimed. */
export type ProofOptions = { readonly holder: string; readonly epoch: string }

/** Adds the options that every call of an outside agent needs. */
export function addProofOptions(command: Command): Command {
  return command
    .argument('<run>', 'identifier of the claimed run')
    .requiredOption('--holder <name>', 'the name that was given with the claim')
    .requiredOption('--epoch <number>', 'the epoch that the claim gave; an old one changes nothing')
}

export function toProof({ holder, epoch }: ProofOptions): { holder: string; epoch: number } {
  return { holder, epoch: parseCount('--epoch', epoch, { min: 1, max: Number.MAX_SAFE_INTEGER }) }
}

type Lease = { readonly expiresAt: string | null; readonly isCancelRequested: boolean }

export function showLease({ output }: CliContext, lease: Lease): void {
  showOne(output, lease, {
    id: () => lease.expiresAt ?? '',
    text: () => {
      output.line(`held until ${lease.expiresAt}`)
      if (lease.isCancelRequested) output.line('someone asked for the end: stop, then swarm run release')
    },
  })
}

type Finished = {
  readonly run: { readonly id: string; readonly status: string }
  readonly ticket: { readonly key: string; readonly status: string }
}

export function showFinished({ output }: CliContext, finished: Finished): void {
  showOne(output, finished, {
    id: ({ ticket }) => ticket.key,
    text: ({ run, ticket }) => output.line(`run ${run.status}, ${ticket.key} ${ticket.status}`),
  })
}
