import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { runProcess } from '../../src/platform/process.ts'
import { NotAvailable, type PrepareDeps } from './contract.ts'
import {
  findServerUser,
  findVersion,
  makeServerDirectory,
  onPath,
  SERVER_ENVIRONMENT,
  startServer,
} from './server.ts'

const DEBIAN = '/usr/lib/postgresql'
const SETTINGS = ['fsync', 'synchronous_commit', 'wal_sync_method', 'full_page_writes', 'shared_buffers']

export type PostgresServer = {
  /** Version and the settings that decide what a commit costs, one line */
  readonly facts: string
  /** For `toDatabaseUrl` */
  readonly address: string
}

/** A PostgreSQL of the bench's own, with the settings it is delivered with, on a unix socket. */
export async function startPostgres(deps: PrepareDeps): Promise<PostgresServer> {
  const bin = await findPostgresBin(deps.postgresBin)
  const user = await findServerUser()
  const data = await makeServerDirectory(join(deps.directory, 'data'), user)
  const address = await makeServerDirectory(join(deps.directory, 'socket'), user)
  const init = await runProcess({
    argv: [
      join(bin, 'initdb'),
      '--pgdata',
      data,
      '--username',
      'bench',
      '--auth',
      'trust',
      '--no-locale',
      '--encoding',
      'UTF8',
    ],
    env: SERVER_ENVIRONMENT,
    cwd: data,
    timeoutMs: 60_000,
    outputBytesMax: 10_000,
    signal: deps.signal,
    ...user,
  })
  if (init.code !== 0) throw new NotAvailable(`initdb failed: ${init.stderr.toString('utf8').trim()}`)
  await startServer(
    deps,
    {
      argv: [join(bin, 'postgres'), '-D', data, '-k', address, '-c', 'listen_addresses='],
      cwd: data,
      ...user,
    },
    { endSignal: 'SIGINT', isReady: async () => (await ask(address, 'select 1')) && true },
  )
  return { address, facts: await readFacts(address) }
}

/** The URL of a database on it. */
export function toDatabaseUrl(address: string, database: string): string {
  return `postgresql://bench@localhost/${database}?host=${encodeURIComponent(address)}`
}

/** An empty database for one cell; it goes with the server, since a library may close its last connection late. */
export async function createDatabase(address: string, name: string): Promise<string> {
  await ask(address, `create database ${name}`)
  return toDatabaseUrl(address, name)
}

async function ask(address: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: toDatabaseUrl(address, 'postgres') })
  // It is told to the query that is under way as well.
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

async function readFacts(address: string): Promise<string> {
  const [version] = await ask(address, 'show server_version')
  const rows = await ask(
    address,
    `select name, setting, unit from pg_settings where name in (${SETTINGS.map((name) => `'${name}'`).join(', ')})`,
  )
  const settings = rows.map(
    ({ name, setting, unit }) => `${name}=${setting}${unit === null ? '' : `×${unit}`}`,
  )
  return `PostgreSQL ${version?.server_version} (${settings.join(' ')})`
}

/** The directory of its programs: the newest of Debian's, else the one on the path. Throws `NotAvailable`. */
export async function findPostgresBin(given: string | undefined): Promise<string> {
  const versions = await readdir(DEBIAN).catch(() => [])
  const newestFirst = versions.toSorted((a, b) => Number(b) - Number(a))
  const places =
    given === undefined
      ? [...newestFirst.map((version) => join(DEBIAN, version, 'bin', 'postgres')), ...onPath('postgres')]
      : [join(given, 'postgres')]
  const found = await findVersion(places)
  if (found === undefined)
    throw new NotAvailable(
      given === undefined
        ? `there is no PostgreSQL server in ${DEBIAN} or on the path: install Debian's postgresql`
        : `there is no PostgreSQL server in ${given}`,
    )
  return join(found.program, '..')
}
