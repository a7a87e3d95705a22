/** The driver: the only file through which the store's statements reach `pg`. */
import type { Kysely, QueryResult } from 'kysely'
import { Client, type ClientConfig, type QueryResult as PgResult, types } from 'pg'
import type { Database } from '../schema.ts'
import { createQueries } from './queries.ts'
import type { Target } from './target.ts'
import { fromKept, toKept } from './text.ts'
import { ConnectionLostError, isSqlError } from './to-store-error.ts'

/** One connection to the server with its prepared statements. */
export type Session = {
  readonly db: Kysely<Database>
  /** Number of the server's process */
  readonly processId: number
  /** Statements without parameters, several at a time; the answers of all */
  exec(sql: string): Promise<readonly PgResult[]>
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<readonly Row[]>
  onNotification(listener: (processId: number) => void): void
  /** Whether it can still be used */
  readonly isOpen: boolean
  /** Ends politely; a connection that does not answer is dropped. Never throws. */
  close(): Promise<void>
  /** Drops the connection without a word; what was under way fails. */
  destroy(): void
}

export type SessionOptions = {
  readonly target: Target
  /** Longest time of one statement, `ms` */
  readonly statementTimeoutMs: number
}

const CONNECT_TIMEOUT_MS = 5_000
const LOCK_TIMEOUT_MS = 10_000
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 15_000
/** How much longer than the server this side waits for an answer before it takes the connection for lost, `ms` */
const ANSWER_MARGIN_MS = 5_000
const CLOSE_TIMEOUT_MS = 2_000
const PREPARED_COUNT_MAX = 400

/** Names of prepared statements by their text, the same on every connection; what comes later is not prepared. */
const preparedNames = new Map<string, string>()

/** @throws ConnectionLostError when the server cannot be reached, the driver's error when it refuses */
export async function openSession({ target, statementTimeoutMs }: SessionOptions): Promise<Session> {
  const client = new Client({
    ...target.connection,
    application_name: 'swarm',
    options: toServerOptions(statementTimeoutMs),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: statementTimeoutMs + ANSWER_MARGIN_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5_000,
    types: { getTypeParser },
    // So that a commit follows the last write without a pause in which this process could stop.
    pipeline: true,
  } as ClientConfig & { pipeline: boolean })
  let isOpen = true
  // What breaks while nothing is asked is found by the next question.
  client.on('error', () => {
    isOpen = false
  })
  client.on('end', () => {
    isOpen = false
  })
  try {
    await client.connect()
  } catch (error) {
    // A server that refuses has said why; anything else is a connection that did not come about.
    throw isSqlError(error) ? error : new ConnectionLostError(error)
  }

  async function ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question()
    } catch (error) {
      if (isSqlError(error)) throw error
      isOpen = false
      throw new ConnectionLostError(error)
    }
  }

  async function query(text: string, parameters: readonly unknown[]): Promise<PgResult> {
    const name = toPreparedName(text)
    const values = parameters.map(toKept)
    return await ask(() => client.query(name === undefined ? { text, values } : { name, text, values }))
  }

  const execute = async (text: string, parameters: readonly unknown[]): Promise<QueryResult<unknown>> => {
    const { rows, rowCount } = await query(text, parameters)
    return { rows, ...(rowCount === null ? {} : { numAffectedRows: BigInt(rowCount) }) }
  }

  return {
    db: createQueries(execute),
    // The driver knows it from the handshake; its types do not say so.
    processId: (client as unknown as { processID: number }).processID,
    async exec(sql) {
      const results = (await ask(() => client.query(sql))) as PgResult | PgResult[]
      return Array.isArray(results) ? results : [results]
    },
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      return (await query(sql, parameters)).rows as Row[]
    },
    onNotification(listener) {
      client.on('notification', (message) => listener(message.processId))
    },
    get isOpen() {
      return isOpen
    },
    async close() {
      isOpen = false
      const deadline = setTimeout(() => destroy(client), CLOSE_TIMEOUT_MS)
      await client.end().catch(() => undefined)
      clearTimeout(deadline)
    },
    destroy() {
      isOpen = false
      destroy(client)
    },
  }
}

function destroy(client: Client): void {
  // The driver has no other way to drop a connection whose server does not answer.
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}

function getTypeParser(oid: number, format?: 'text' | 'binary') {
  // Every integer of the store is an instant or a count: far below 2^53.
  if (oid === types.builtins.INT8) return Number
  return oid === types.builtins.TEXT ? fromKept : types.getTypeParser(oid, format as 'text')
}

function toPreparedName(text: string): string | undefined {
  const known = preparedNames.get(text)
  if (known !== undefined || preparedNames.size >= PREPARED_COUNT_MAX) return known
  const name = `swarm_${preparedNames.size + 1}`
  preparedNames.set(text, name)
  return name
}

/** What the server ends by itself when this process is gone or stands still. */
function toServerOptions(statementTimeoutMs: number): string {
  const settings = {
    search_path: 'swarm',
    timezone: 'UTC',
    statement_timeout: statementTimeoutMs,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    // A host that vanished without a word is noticed within ten seconds, not after two hours.
    tcp_keepalives_idle: 5,
    tcp_keepalives_interval: 2,
    tcp_keepalives_count: 2,
    tcp_user_timeout: 9_000,
  }
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ')
}
