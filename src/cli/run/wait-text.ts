import type { SwarmClient } from '../../client/client.ts'
import type { CliContext } from '../context.ts'
import { escapeLine } from '../escape-text.ts'
import { showOne } from '../show-one.ts'

type Wait = Awaited<ReturnType<SwarmClient['runs']['approve']>>

/** What a run waited for, after a person resolved it. */
export function showWait({ output }: CliContext, wait: Wait, did: string): void {
  showOne(output, wait, {
    id: ({ id }) => id,
    text: ({ subject }) => output.line(`${did}: ${escapeLine(subject)}`),
  })
}
