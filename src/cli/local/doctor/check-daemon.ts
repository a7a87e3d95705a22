import type { CliContext } from '../../context.ts'
import { type Check, ok, warn } from './check.ts'

const ANSWER_TIMEOUT_MS = 5_000

/** What a running daemon says of itself; none running is fine. */
export async function checkDaemon(context: CliContext): Promise<Check[]> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)])
  try {
    const client = await context.connect()
    const { status, checks, sandbox } = await client.health.get({ signal })
    const troubles = checks.filter((each) => !each.ok).map((each) => `${each.name}: ${each.detail}`)
    if (!sandbox.ok) troubles.push(`sandbox ${sandbox.driver}: ${sandbox.reason ?? 'unusable'}`)
    if (troubles.length === 0) return [ok('daemon', `${status}; sandboxes are made by ${sandbox.driver}`)]
    return troubles.map((trouble) => warn('daemon', trouble, sandbox.fix ?? 'swarm status'))
  } catch (error) {
    context.signal.throwIfAborted()
    const { name, message } = error as Error
    if (name === 'ConnectionError') return [ok('daemon', 'none is running')]
    return [warn('daemon', message, 'swarm status')]
  }
}
