/** A PostgreSQL server of this test file's own, from Debian's package, without network. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Client, types } from 'pg'

export type PostgresServer = {
  /** Folder of its unix socket */
  readonly host: string
  /** Stops it as a crash would, all connections broken. */
  crash(): Promise<void>
  start(): Promise<void>
  /** After a crash: starts it, and crashes it again while it recovers. */
  crashInRecovery(): Promise<void>
  /** Where a store is, as in the configuration */
  toUrl(database: string): string
  /** Who connects, ends. */
  connect(database: string): Promise<Client>
  /** Runs statements in a database. */
  run(database: string, sql: string): Promise<readonly Record<string, unknown>[]>
}

const PACKAGES = '/usr/lib/postgresql'
const KEEPER = fileURLToPath(new URL('postgres-keeper.ts', import.meta.url))

/** The newest installed server's programs. */
export const programsFolder = existsSync(PACKAGES)
  ? readdirSync(PACKAGES)
      .toSorted((a, b) => Number(b) - Number(a))
      .map((version) => join(PACKAGES, version, 'bin'))
      .find((bin) => existsSync(join(bin, 'initdb')))
  : undefined

/** Why tests with PostgreSQL cannot run here, if they cannot. */
export const whyNoPostgres =
  programsFolder === undefined ? 'there is no PostgreSQL: install the package postgresql' : undefined

let server: Promise<PostgresServer> | undefined

/** The server of this test file; started by the first that asks, ends with the process. */
export function getPostgresServer(): Promise<PostgresServer> {
  server ??= startServer()
  return server
}

async function startServer(): Promise<PostgresServer> {
  if (programsFolder === undefined) throw new Error(whyNoPostgres)
  const folder = await mkdtemp(join(tmpdir(), 'swarm-pg-'))
  const { uid, gid } = findServerUser()
  const keeper = spawn(process.execPath, [KEEPER, folder, programsFolder, uid, gid], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
  const ask = toQuestions(keeper)
  await ask(undefined, 'ready')
  // This process ends without waiting for it; it ends when the pipe to it closes.
  keeper.unref()
  for (const pipe of [keeper.stdin, keeper.stdout]) (pipe as unknown as { unref(): void }).unref()
  return {
    host: folder,
    crash: () => ask('immediate', 'immediate'),
    start: () => ask('start', 'start'),
    crashInRecovery: () => ask('recovery', 'recovery'),
    toUrl: (database) => `postgresql:///${database}?host=${folder}&user=swarm`,
    connect: (database) => connect(folder, database),
    run: (database, sql) => runStatements(folder, database, sql),
  }
}

function toQuestions(keeper: ChildProcess): (line: string | undefined, answer: string) => Promise<void> {
  const answers = createInterface({ input: keeper.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  return async (line, expected) => {
    if (line !== undefined) keeper.stdin?.write(`${line}\n`)
    const { value } = await answers.next()
    if (value !== expected) throw new Error(`the keeper of PostgreSQL said ${String(value)}, not ${expected}`)
  }
}

/** PostgreSQL refuses to run as root: its package has made a user for it. */
function findServerUser(): { uid: string; gid: string } {
  if (process.getuid?.() !== 0) return { uid: '', gid: '' }
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('postgres:'))
  const [, , uid, gid] = line?.split(':') ?? []
  if (uid === undefined || gid === undefined) throw new Error('there is no user postgres')
  return { uid, gid }
}

async function connect(host: string, database: string): Promise<Client> {
  const client = new Client({
    host,
    database,
    user: 'swarm',
    options: '-c search_path=swarm',
    types: { getTypeParser },
  })
  // Tests break connections; what is asked next says so.
  client.on('error', () => {})
  await client.connect()
  return client
}

function getTypeParser(oid: number, format?: 'text' | 'binary') {
  return oid === types.builtins.INT8 ? Number : types.getTypeParser(oid, format as 'text')
}

async function runStatements(
  host: string,
  database: string,
  sql: string,
): Promise<readonly Record<string, unknown>[]> {
  const client = await connect(host, database)
  try {
    const results = await client.query(sql)
    return (Array.isArray(results) ? results.at(-1) : results).rows
  } finally {
    await client.end()
  }
}
