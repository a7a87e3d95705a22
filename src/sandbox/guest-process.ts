/**
 * The guest program as a process of this host, from its start to the moment it knows who it is. The start comes in
 * two halves: `begin` makes the process, which then waits for its configuration on standard input and knows of no
 * ticket yet; `awaken` gives it that, connects, and has the identity acknowledged.
 *
 * Until it is awake its standard input is what keeps it: when this process dies, the pipe closes and it ends.
 */
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import type { SandboxId } from '../domain/id.ts'
import { SandboxError, type SandboxTimings, type SpawnRequest, type WarmRequest } from './contract.ts'
import { connectGuest, type GuestConnection } from './guest-connection.ts'
import { type GuestConfig, parseIdentityAck } from './guest-protocol-messages.ts'
import type { HostProcesses } from './host-processes.ts'
import type { Flavour, Preparation, ProcessDriverOptions, SpawnStep } from './process-driver.ts'
import { recordDirectory, type StoredRecord, updateRecord } from './sandbox-record.ts'

const CONNECT_TIMEOUT_MS = 20_000
const CONTROL_FD = 3

/** A guest program that waits to be told whom it serves. */
export type BegunGuest = {
  /** With the process in it, as on disk */
  readonly record: StoredRecord
  readonly preparation: Preparation
  readonly stdin: Writable
  /** Aborted when the process ends */
  readonly ended: AbortSignal
  /** Resolves when it is under its limits, with what went wrong if something did */
  readonly limited: Promise<Error | undefined>
}

export type Done = (phase: keyof SandboxTimings) => void

export type GuestProcesses = {
  /** The record is on disk already; a failure leaves what the record leads to, for the caller to remove. */
  begin(request: WarmRequest, record: StoredRecord, signal: AbortSignal, done: Done): Promise<BegunGuest>
  /** At most once for each one that was begun. The caller removes it when this fails. */
  awaken(begun: BegunGuest, request: SpawnRequest, signal: AbortSignal, done: Done): Promise<GuestConnection>
  connect(record: StoredRecord, signal: AbortSignal, timeoutMs: number): Promise<GuestConnection>
}

export function createGuestProcesses(
  options: ProcessDriverOptions,
  flavour: Flavour,
  processes: HostProcesses,
): GuestProcesses {
  const { stateDir, clock, randomBytes } = options
  const nextNonce = () => randomBytes(16).toString('hex')
  const reach = (step: SpawnStep, id: SandboxId) => options.onSpawnStep?.(step, id)

  const begin: GuestProcesses['begin'] = async (request, record, signal, done) => {
    const id = record.sandboxId
    const directory = recordDirectory(stateDir, id)
    signal.throwIfAborted()
    await reach('prepare', id)
    const preparation = await flavour.prepare(request, directory)
    await reach('socket', id)
    const ended = new AbortController()
    // Descriptors that the child inherits; ours are closed once it has them, or when it never comes to that.
    const inherited: (() => unknown)[] = []
    try {
      const listener = await processes.listenForChild(join(directory, 'guest.sock'))
      inherited.push(() => listener.release())
      const log = await open(join(directory, 'guest.log'), 'a', 0o600)
      inherited.push(() => log.close())
      const files: number[] = []
      for (const path of preparation.inheritedFiles ?? []) {
        const file = await open(path, 'r')
        inherited.push(() => file.close())
        files.push(file.fd)
      }
      await reach('process', id)
      signal.throwIfAborted()
      const child = processes.spawnProcess({
        argv: preparation.argv,
        env: preparation.env,
        stdio: ['pipe', log.fd, log.fd, listener.fd, ...files],
      })
      child.exited.finally(() => ended.abort(new Error('it ended before it was ready'))).catch(() => {})
      child.unref()
      const limiting = flavour.limitProcess?.(
        child.pid,
        record.cgroups,
        AbortSignal.any([signal, ended.signal]),
      )
      const limited = (limiting ?? Promise.resolve()).then(
        () => undefined,
        (error: Error) => error,
      )
      child.stdin?.on('error', () => {})
      await reach('update', id)
      if (child.pid < 0) await child.exited
      const identity = await processes.findProcessIdentity(child.pid)
      if (identity === undefined || child.stdin === null) throw new Error('it ended at once')
      const recorded = { ...record, process: identity }
      await updateRecord(stateDir, recorded)
      done('process')
      return { record: recorded, preparation, stdin: child.stdin, ended: ended.signal, limited }
    } finally {
      for (const close of inherited) await close()
    }
  }

  const awaken: GuestProcesses['awaken'] = async (begun, request, signal, done) => {
    const { record, stdin } = begun
    const id = record.sandboxId
    stdin.end(JSON.stringify(await toGuestConfig(begun, request)))
    await reach('connect', id)
    const connection = await connect(record, signal, CONNECT_TIMEOUT_MS).catch(async (error: Error) => {
      const lastWords = await readGuestLog(recordDirectory(stateDir, id))
      throw lastWords === '' ? error : new Error(`${error.message}: ${lastWords}`, { cause: error })
    })
    done('connect')
    try {
      await reach('identity', id)
      const limitError = await begun.limited
      if (limitError !== undefined) throw limitError
      await identify(connection, request.hostname)
      done('identity')
      return connection
    } catch (error) {
      connection.close('the spawn failed')
      throw error
    }
  }

  async function toGuestConfig(
    { record, preparation }: BegunGuest,
    { env, deadmanMs }: SpawnRequest,
  ): Promise<GuestConfig> {
    const { sandboxId, secret } = record
    return {
      ...preparation.config,
      sandboxId,
      secret,
      deadmanMs,
      controlFd: CONTROL_FD,
      env: { ...preparation.baseEnv, ...env },
      hostPidNamespace: await processes.readPidNamespace(),
    }
  }

  async function connect(record: StoredRecord, signal: AbortSignal, timeoutMs: number) {
    const path = join(recordDirectory(stateDir, record.sandboxId), 'guest.sock')
    const stream = await processes.connectUnixSocket(path, signal)
    const { sandboxId, secret } = record
    return await connectGuest({ stream, sandboxId, secret, nonce: nextNonce(), timeoutMs, signal })
  }

  async function identify(connection: GuestConnection, hostname: string): Promise<void> {
    const nonce = nextNonce()
    const entropy = randomBytes(64).toString('base64')
    const nowMs = Math.max(0, Math.round(clock.now()))
    const ack = await connection.request(
      { op: 'identity', entropy, nowMs, hostname, nonce },
      parseIdentityAck,
    )
    if (ack.nonce !== nonce) throw new SandboxError('protocol_error', 'the identity was not acknowledged')
  }

  return { begin, awaken, connect }
}

/** The last words of a guest program, for messages. */
async function readGuestLog(directory: string): Promise<string> {
  const text = await readFile(join(directory, 'guest.log'), 'utf8').catch(() => '')
  return text.slice(-2000).trim()
}
