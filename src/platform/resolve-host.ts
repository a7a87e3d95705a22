import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'

/** All addresses of a host name, in the system's order. An address stands for itself. */
export type ResolveHost = (host: string, signal: AbortSignal) => Promise<readonly string[]>

/**
 * Asks the system's resolver (hosts file, DNS). The system call cannot be stopped; on abort its answer is
 * dropped.
 */
export const resolveHost: ResolveHost = async (host, signal) => {
  if (isIP(host) !== 0) return [host]
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const entries = await Promise.race([lookup(host, { all: true, order: 'verbatim' }), aborted.promise])
    return entries.map((entry) => entry.address)
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
