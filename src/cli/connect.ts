import { join } from 'node:path'
import { createClient, type SwarmClient } from '../client/client.ts'
import { createUnixFetch, type UnixFetch } from '../platform/fetch-unix.ts'
import { CliError } from './cli-error.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { isLoopbackHost } from './loopback-host.ts'
import { readToken } from './read-token.ts'

/**
 * The client for the daemon meant: `--url` or `SWARM_URL` with a token, else the unix socket in the state
 * directory, whose permissions are the credential. Nothing is sent yet.
 */
export async function connect(context: CliContext): Promise<SwarmClient> {
  const { globals } = context
  const address = findAddress(context)
  if (address !== undefined) return connectToAddress(address, context)
  const { findStateDir } = await import('./local/find-state-dir.ts')
  const socketPath = join(await findStateDir(context), 'api.sock')
  const token = globals.tokenFile === undefined ? undefined : await readToken(context)
  const fetchOverSocket = createUnixFetch(socketPath)
  return createClient({ baseUrl: 'http://localhost', token, fetch: nameSocket(fetchOverSocket, socketPath) })
}

/** The address of the API; `undefined`: the socket of a daemon on this host is meant. */
export function findAddress({ environment, globals }: CliContext): string | undefined {
  if (globals.url !== undefined) return globals.url
  // `--state-dir` is about a daemon on this host, whatever the environment says.
  return globals.stateDir === undefined ? environment.SWARM_URL || undefined : undefined
}

async function connectToAddress(address: string, context: CliContext): Promise<SwarmClient> {
  const url = URL.parse(address)
  if (
    url === null ||
    !['http:', 'https:'].includes(url.protocol) ||
    url.username !== '' ||
    url.password !== ''
  ) {
    const hint = 'write it as http://127.0.0.1:7377, and the token into SWARM_TOKEN or a file'
    throw new CliError(EXIT.usage, 'the address of the API is not a plain http or https address', { hint })
  }
  const token = await readToken(context)
  if (token !== undefined && url.protocol === 'http:' && !isLoopbackHost(url.hostname)) {
    context.output.message(`warning: the token travels unencrypted to ${url.host}`)
  }
  return createClient({ baseUrl: address, token, fetch: (target, init) => fetch(target, init) })
}

/** The client only knows `localhost`; people want to read which socket stayed silent. */
function nameSocket(fetchOverSocket: UnixFetch, socketPath: string): UnixFetch {
  return async (address, init) => {
    try {
      return await fetchOverSocket(address, init)
    } catch (error) {
      const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code
      if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw error
      throw new UnreachableSocket(socketPath, error)
    }
  }
}

class UnreachableSocket extends Error {
  override readonly name = 'UnreachableSocket'
  constructor(socketPath: string, cause: unknown) {
    super(`no daemon answers at ${socketPath}`, { cause })
  }
}
