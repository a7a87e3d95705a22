import { readFileSync, readSync } from 'node:fs'
import { type GuestConfig, parseGuestConfig } from '../src/sandbox/guest-protocol-messages.ts'
import { rehearse } from './rehearse.ts'

/**
 * Waits for the configuration on standard input. A line end before it says that there is no ticket yet: the time
 * until there is one is used.
 */
export async function readConfig(): Promise<GuestConfig> {
  const first = Buffer.alloc(1)
  const start = first.subarray(0, readSync(0, first)).toString()
  // What fails here fails again where it matters, and is told there.
  if (start === '\n') await rehearse().catch(() => {})
  return parseGuestConfig(JSON.parse(start + readFileSync(0, 'utf8')), 'config')
}
