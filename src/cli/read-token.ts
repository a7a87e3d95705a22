import { type FileHandle, open } from 'node:fs/promises'
import { toAbsolutePath } from '../platform/paths.ts'
import { CliError } from './cli-error.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { readStdinText } from './read-text.ts'
import { describeSystemError } from './system-words.ts'

const TOKEN_BYTES_MAX = 4096

/**
 * The token from `--token-file` (`-`: standard input), `SWARM_TOKEN` or `SWARM_TOKEN_FILE`; never from an
 * argument, which every user of the machine could read. A file that others can read is refused.
 */
export async function readToken(context: CliContext): Promise<string | undefined> {
  const { environment, globals } = context
  if (globals.tokenFile === '-') return (await readStdinText(context, TOKEN_BYTES_MAX)).trim()
  if (globals.tokenFile !== undefined) return await readTokenFile(globals.tokenFile, context)
  if (environment.SWARM_TOKEN) return environment.SWARM_TOKEN.trim()
  if (environment.SWARM_TOKEN_FILE) return await readTokenFile(environment.SWARM_TOKEN_FILE, context)
  return undefined
}

async function readTokenFile(written: string, { places }: CliContext): Promise<string> {
  const path = toAbsolutePath(written, places.workingDirectory, places)
  let handle: FileHandle | undefined
  try {
    handle = await open(path, 'r')
    const found = await handle.stat()
    if ((found.mode & 0o077) !== 0) {
      throw new CliError(EXIT.auth, `${path} is readable by others`, { hint: `chmod 600 ${path}` })
    }
    if (found.size > TOKEN_BYTES_MAX) throw new CliError(EXIT.auth, `${path} is too large for a token`)
    return (await handle.readFile('utf8')).trim()
  } catch (error) {
    if (error instanceof CliError) throw error
    throw new CliError(EXIT.auth, `cannot read the token from ${path}: ${describeSystemError(error)}`, {
      cause: error,
    })
  } finally {
    await handle?.close()
  }
}
