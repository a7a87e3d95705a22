import { once } from 'node:events'
import { basename, dirname } from 'node:path/posix'
import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract, pack } from 'tar-stream'
import {
  type AttachOptions,
  type ExecEvent,
  type ExecExit,
  type ExecRequest,
  type ExecStatus,
  type Sandbox,
  SandboxError,
  type SandboxTimings,
} from './contract.ts'
import type { GuestConnection } from './guest-connection.ts'
import type { FeedItem } from './guest-connection-feed.ts'
import { CHUNK_BYTES } from './guest-protocol.ts'
import {
  EXEC_ID,
  type GuestExecStatus,
  type GuestExit,
  parseExecStatus,
  parseFound,
  parseNothing,
  parseUsage,
} from './guest-protocol-messages.ts'
import { StreamEndedError } from './guest-protocol-stream.ts'

/** Longest a program may leave bytes for its standard input unread, `ms` */
const STDIN_TIMEOUT_MS = 600_000
/** Longest a transfer of files may take, `ms` */
const TRANSFER_TIMEOUT_MS = 1_800_000
const INLINE_STDIN_BYTES_MAX = 512 * 1024

/** What a driver adds to the guest program's word. */
export type GuestSandboxHooks = {
  /** Counters of the host before an exec, kept with it by the guest */
  mark?(): Promise<string>
  /** The exit as the host sees it: which limit the kernel enforced */
  explainExit?(exit: GuestExit, mark: string | undefined): Promise<ExecExit>
  /** Ends it and removes every trace on the host; may be called twice */
  stop(options: { readonly graceMs: number }): Promise<void>
}

/** The contract's sandbox on top of a connection to its guest program: the same for every driver. */
export function createGuestSandbox(options: {
  readonly connection: GuestConnection
  readonly id: Sandbox['id']
  readonly driver: string
  readonly timings: SandboxTimings
  readonly hooks: GuestSandboxHooks
}): Sandbox {
  const { connection, hooks } = options
  const explain = async (exit: GuestExit, mark: string | undefined): Promise<ExecExit> =>
    (await hooks.explainExit?.(exit, mark)) ?? toExit(exit)

  const toStatus = async ({ hostMark, exit, ...status }: GuestExecStatus): Promise<ExecStatus> =>
    exit === undefined ? status : { ...status, exit: await explain(exit, hostMark) }

  async function toEvent(item: FeedItem): Promise<ExecEvent> {
    if (item.kind === 'lost') return item
    if (item.kind === 'output') return { kind: item.stream, offset: item.offset, data: item.data }
    if (item.event.kind !== 'exited') return item.event
    const { hostMark, kind, ...exit } = item.event
    return { kind, ...(await explain(exit, hostMark)) }
  }

  async function sendStdin(execId: string, data: Uint8Array | string): Promise<void> {
    const bytes = toBuffer(data)
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      const body = bytes.subarray(at, at + CHUNK_BYTES)
      const request = { op: 'stdin', execId, close: false } as const
      await connection.request(request, parseNothing, { body, timeoutMs: STDIN_TIMEOUT_MS })
    }
  }

  function openTar(
    path: string,
    signal: AbortSignal | undefined,
    { onlyFile }: { onlyFile: boolean },
  ): Readable {
    const out = new PassThrough()
    const { stream, answered } = connection.openStream({ op: 'get', path, onlyFile }, TRANSFER_TIMEOUT_MS)
    stream.end()
    answered.catch((error: Error) => out.destroy(error))
    stream.on('error', (error) => out.destroy(asSandboxError(error, options.id)))
    stream.on('close', () => {
      if (!stream.readableEnded) out.destroy(new SandboxError('sandbox_lost', 'the transfer was cut off'))
    })
    out.on('close', () => stream.destroy())
    const abort = () => out.destroy(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    out.on('close', () => signal?.removeEventListener('abort', abort))
    stream.pipe(out)
    return out
  }

  const sandbox: Sandbox = {
    id: options.id,
    driver: options.driver,
    timings: options.timings,
    disconnected: connection.disconnected,

    async exec(request) {
      checkExecRequest(request)
      const { stdin, ...rest } = request
      const bytes = stdin === undefined || stdin === 'open' ? Buffer.alloc(0) : toBuffer(stdin)
      const isInline = bytes.length <= INLINE_STDIN_BYTES_MAX
      const hostMark = await hooks.mark?.()
      const status = await connection.request(
        {
          op: 'exec',
          ...rest,
          stdin: stdin === 'open' || !isInline ? 'open' : 'closed',
          ...(hostMark === undefined ? {} : { hostMark }),
        },
        parseExecStatus,
        { body: isInline ? bytes : Buffer.alloc(0) },
      )
      if (!isInline && !status.wasStarted) {
        // The program reads while we go on; when it ends early the rest is of no use to anyone.
        sendStdin(request.execId, bytes)
          .then(() => sandbox.closeStdin(request.execId))
          .catch(() => {})
      }
      return await toStatus(status)
    },

    async findExec(execId) {
      const { exec } = await connection.request({ op: 'find', execId }, parseFound)
      return exec === null ? undefined : await toStatus(exec)
    },

    async *attach(execId: string, { stdoutOffset = 0, stderrOffset = 0, signal }: AttachOptions = {}) {
      let feed: Awaited<ReturnType<GuestConnection['openFeed']>>
      try {
        feed = await connection.openFeed({ op: 'attach', execId, stdoutOffset, stderrOffset })
      } catch (error) {
        if (!(error instanceof SandboxError) || error.code !== 'sandbox_lost') throw error
        yield { kind: 'lost', reason: error.message }
        return
      }
      const abort = () => feed.close()
      signal?.addEventListener('abort', abort, { once: true })
      try {
        for (let item = await feed.next(); item !== undefined; item = await feed.next()) {
          if (signal?.aborted) return
          yield await toEvent(item)
        }
      } finally {
        signal?.removeEventListener('abort', abort)
        feed.close()
      }
    },

    async writeStdin(execId, data) {
      await sendStdin(execId, data)
    },

    async closeStdin(execId) {
      const request = { op: 'stdin', execId, close: true } as const
      await connection.request(request, parseNothing, { timeoutMs: STDIN_TIMEOUT_MS })
    },

    async signal(execId, signal) {
      await connection.request({ op: 'signal', execId, signal }, parseNothing)
    },

    async put(path, tar, signal) {
      const { stream, answered } = connection.openStream({ op: 'put', path }, TRANSFER_TIMEOUT_MS)
      stream.resume()
      const abort = () => stream.destroy(signal?.reason)
      signal?.addEventListener('abort', abort, { once: true })
      // The guest's answer says what went wrong better than the broken stream does.
      const sent = pipeline(tar, stream, { end: true }).catch((error: Error) => error)
      try {
        signal?.throwIfAborted()
        const sendError = await Promise.race([sent, answered.then(() => undefined)])
        if (sendError instanceof Error && !(sendError instanceof StreamEndedError) && tar.errored)
          throw tar.errored
        await answered
      } finally {
        signal?.removeEventListener('abort', abort)
        tar.destroy()
        stream.destroy()
      }
    },

    get: (path, signal) => openTar(path, signal, { onlyFile: false }),

    async putFile(path, data, { mode = 0o644 } = {}) {
      const tar = pack()
      tar.entry({ name: basename(path), mode }, toBuffer(data))
      tar.finalize()
      await sandbox.put(dirname(path), tar as unknown as Readable)
    },

    async getFile(path, { bytesMax }) {
      return await readOnlyEntry(openTar(path, undefined, { onlyFile: true }), path, bytesMax)
    },

    async renewDeadman(deadmanMs) {
      await connection.request({ op: 'renew', deadmanMs }, parseNothing)
    },

    async usage() {
      return await connection.request({ op: 'usage' }, parseUsage)
    },

    async stop(stopOptions) {
      await hooks.stop(stopOptions)
      connection.close('the sandbox was stopped')
    },

    async [Symbol.asyncDispose]() {
      connection.close('this coordinator let go of it')
    },
  }
  return sandbox
}

function toBuffer(data: Uint8Array | string): Buffer {
  return typeof data === 'string'
    ? Buffer.from(data)
    : Buffer.from(data.buffer, data.byteOffset, data.byteLength)
}

function checkExecRequest({ execId, argv }: ExecRequest): void {
  if (!EXEC_ID.test(execId)) {
    throw new SandboxError('request_invalid', `${JSON.stringify(execId)} is no execId`, { data: { execId } })
  }
  if (argv.length === 0 || argv[0] === '') {
    throw new SandboxError('request_invalid', `exec ${execId} has an empty argv`, { data: { execId } })
  }
}

function toExit({ code, signal, limit }: GuestExit): ExecExit {
  return { code, signal, ...(limit === undefined ? {} : { limit }) }
}

function asSandboxError(error: Error, sandboxId: string): Error {
  if (!(error instanceof StreamEndedError)) return error
  return new SandboxError(error.code, error.message, { data: { sandboxId }, cause: error })
}

/** The one regular file of a tar stream that the guest made: hostile until checked. */
async function readOnlyEntry(tar: Readable, path: string, bytesMax: number): Promise<Buffer> {
  const entries = extract()
  tar.on('error', (error) => entries.destroy(error))
  tar.pipe(entries as unknown as NodeJS.WritableStream)
  try {
    for await (const entry of entries) {
      const { type, size = 0 } = entry.header
      if (type !== 'file') throw new SandboxError('not_a_file', `${path} is a ${type}`, { data: { path } })
      if (size > bytesMax) {
        throw new SandboxError('too_large', `${path} has ${size} bytes, more than ${bytesMax}`, {
          data: { path, size },
        })
      }
      const chunks: Buffer[] = []
      for await (const chunk of entry) chunks.push(chunk as Buffer)
      return Buffer.concat(chunks)
    }
    throw new SandboxError('not_a_file', `${path} is not a regular file`, { data: { path } })
  } finally {
    if (!tar.closed) {
      tar.destroy()
      await once(tar, 'close').catch(() => {})
    }
  }
}
