import { chown, mkdir, readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import {
  runProcess,
  type SpawnedProcess,
  type SpawnProcessRequest,
  spawnProcess,
} from '../../src/platform/process.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { NotAvailable, type PrepareDeps } from './contract.ts'

export const SERVER_ENVIRONMENT = { PATH: process.env.PATH ?? '', LANG: 'C.UTF-8', HOME: '/nonexistent' }
const START_TIMEOUT_MS = 15_000
const END_TIMEOUT_MS = 10_000

type User = { readonly uid: number; readonly gid: number }

/** Who a server runs as: this user; in place of root, whom PostgreSQL refuses, `nobody`. */
export async function findServerUser(): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const entry = (await readFile('/etc/passwd', 'utf8')).split('\n').find((line) => line.startsWith('nobody:'))
  const [, , uid, gid] = entry?.split(':').map(Number) ?? []
  if (uid === undefined || gid === undefined)
    throw new NotAvailable('there is no user nobody to run a server as')
  return { uid, gid }
}

/** A directory that belongs to the server's user. */
export async function makeServerDirectory(path: string, user: User | undefined): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  if (user !== undefined) await chown(path, user.uid, user.gid)
  return path
}

/** A program by its path, or by its name in the first of the directories that has it. */
export async function findVersion(
  programs: readonly string[],
): Promise<{ program: string; version: string } | undefined> {
  for (const program of programs) {
    const request = { argv: [program, '--version'], timeoutMs: 5_000, outputBytesMax: 10_000 }
    const result = await runProcess(request).catch(() => undefined)
    if (result?.code === 0) return { program, version: result.stdout.toString('utf8').trim() }
  }
  return undefined
}

/** Where Debian puts programs that are not for everybody's path, behind the path. */
export function onPath(name: string): string[] {
  const directories = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/bin',
    '/usr/local/bin',
    '/usr/sbin',
    '/sbin',
  ]
  return [...new Set(directories.filter(Boolean))].map((directory) => join(directory, name))
}

/**
 * Starts a server and waits until it answers. It is ended with the bench: asked with `endSignal`, then killed.
 * @throws NotAvailable when it ends or does not answer in time
 */
export async function startServer(
  { signal, defer }: Pick<PrepareDeps, 'signal' | 'defer'>,
  request: SpawnProcessRequest,
  options: { readonly endSignal: NodeJS.Signals; isReady(): Promise<true | undefined> },
): Promise<void> {
  signal.throwIfAborted()
  const server = spawnProcess({ env: SERVER_ENVIRONMENT, ...request })
  defer(() => endServer(server, options.endSignal))
  let hasEnded = false
  server.exited.then(
    () => (hasEnded = true),
    () => (hasEnded = true),
  )
  const what = `an answer of ${request.argv[0]}`
  const answered = await waitFor<boolean>(
    what,
    async () => (hasEnded || signal.aborted ? false : await options.isReady()),
    START_TIMEOUT_MS,
  ).catch((error: Error) => {
    throw new NotAvailable(error.message, { cause: error })
  })
  signal.throwIfAborted()
  if (!answered) throw new NotAvailable(`${request.argv[0]} ended at once`)
}

async function endServer(server: SpawnedProcess, endSignal: NodeJS.Signals): Promise<void> {
  server.killGroup(endSignal)
  const kill = setTimeout(() => server.killGroup('SIGKILL'), END_TIMEOUT_MS)
  await server.exited.catch(() => {})
  clearTimeout(kill)
}
