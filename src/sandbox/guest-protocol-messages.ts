/** The objects inside the frames, and their parsers. What is not listed here does not exist. */
import {
  boolean,
  integer,
  list,
  nullable,
  object,
  oneOf,
  optional,
  type Parser,
  text,
  textByName,
} from './guest-protocol-parse.ts'

const SAFE = Number.MAX_SAFE_INTEGER
const TEXT_MAX = 512 * 1024
const PATH_MAX = 4096
/** Longest wait that fits a timer, `ms` */
export const WAIT_MS_MAX = 2 ** 31 - 1
export const RING_BYTES_MAX = 64 * 1024 * 1024
export const EXEC_ID = /^[A-Za-z0-9._:-]{1,200}$/
export const EXEC_SIGNALS = [
  'SIGINT',
  'SIGTERM',
  'SIGKILL',
  'SIGHUP',
  'SIGUSR1',
  'SIGUSR2',
  'SIGQUIT',
] as const
export const LIMITS_FIRED = ['memory', 'processes', 'disk', 'time', 'deadman'] as const

const execId = text(200, EXEC_ID)
const guestPath = text(PATH_MAX, /^\//)
const waitMs = integer(1, WAIT_MS_MAX)
const offset = integer(0, SAFE)

export const parseHello = object({
  /** Versions the host speaks */
  versions: list(integer(1, 65_535), 16),
  /** The sandbox's secret: whoever knows it controls the sandbox */
  secret: text(128),
  nonce: text(128),
})
export type Hello = ReturnType<typeof parseHello>

export const parseWelcome = object({
  version: integer(1, 65_535),
  nonce: text(128),
  sandboxId: text(128),
  hasIdentity: boolean,
})
export type Welcome = ReturnType<typeof parseWelcome>

export const parseRefused = object({ code: text(64), message: text(1000) })
export type Refused = ReturnType<typeof parseRefused>

/** Each request by its `op`. */
const REQUESTS = {
  /** Who the sandbox is; nothing is executed before it is acknowledged */
  identity: object({
    op: oneOf(['identity']),
    /** Randomness for the guest's pool, base64 */
    entropy: text(256),
    nowMs: integer(0, SAFE),
    hostname: text(63, /^[A-Za-z0-9-]+$/),
    nonce: text(128),
  }),
  exec: object({
    op: oneOf(['exec']),
    execId,
    argv: list(text(TEXT_MAX), 4096),
    cwd: optional(guestPath),
    env: optional(textByName(1024, TEXT_MAX)),
    stdin: oneOf(['open', 'closed']),
    timeoutMs: optional(waitMs),
    graceMs: optional(integer(0, WAIT_MS_MAX)),
    ringBytes: optional(integer(4096, RING_BYTES_MAX)),
    /** Text the host gets back with the exec, such as counters at its start */
    hostMark: optional(text(1000)),
  }),
  find: object({ op: oneOf(['find']), execId }),
  stdin: object({ op: oneOf(['stdin']), execId, close: boolean }),
  signal: object({ op: oneOf(['signal']), execId, signal: oneOf(EXEC_SIGNALS) }),
  attach: object({ op: oneOf(['attach']), execId, stdoutOffset: offset, stderrOffset: offset }),
  put: object({ op: oneOf(['put']), path: guestPath }),
  /** With `onlyFile`, anything but a regular file is refused */
  get: object({ op: oneOf(['get']), path: guestPath, onlyFile: boolean }),
  renew: object({ op: oneOf(['renew']), deadmanMs: waitMs }),
  usage: object({ op: oneOf(['usage']) }),
  ping: object({ op: oneOf(['ping']), nonce: text(128) }),
  stop: object({ op: oneOf(['stop']), graceMs: integer(0, WAIT_MS_MAX) }),
} as const
type Requests = typeof REQUESTS
export type GuestRequest = ReturnType<Requests[keyof Requests]>
export type GuestRequestOf<Op extends keyof Requests> = ReturnType<Requests[Op]>

const parseOp = oneOf(Object.keys(REQUESTS))
export const parseRequest: Parser<GuestRequest> = (value, path) => {
  const op = parseOp((value as { op?: unknown } | null | undefined)?.op, `${path}.op`) as keyof Requests
  return (REQUESTS[op] as Parser<GuestRequest>)(value, path)
}

const exitShape = {
  code: nullable(integer(0, 255)),
  signal: nullable(text(16)),
  limit: optional(oneOf(LIMITS_FIRED)),
} as const
export const parseExit = object(exitShape)
export type GuestExit = ReturnType<typeof parseExit>

export const parseExecStatus = object({
  execId,
  pid: integer(0, SAFE),
  wasStarted: boolean,
  stdoutEnd: offset,
  stderrEnd: offset,
  exit: optional(parseExit),
  hostMark: optional(text(1000)),
})
export type GuestExecStatus = ReturnType<typeof parseExecStatus>

export const parseFound = object({ exec: nullable(parseExecStatus) })
export const parseIdentityAck = object({
  nonce: text(128),
  hostname: text(256),
  /** The guest's clock minus the host's when the frame arrived, `ms` */
  clockOffsetMs: integer(-SAFE, SAFE),
})
export const parsePong = object({ nonce: text(128) })
export const parseUsage = object({
  cpuMs: integer(0, SAFE),
  memoryBytes: integer(0, SAFE),
  processCount: integer(0, SAFE),
  diskBytes: integer(0, SAFE),
  fileMarker: text(200),
  deadmanLeftMs: integer(0, SAFE),
})
export type GuestUsage = ReturnType<typeof parseUsage>
export const parseNothing = object({})

/** What the guest says went wrong: a closed list, so that a hostile guest cannot invent codes. */
export const GUEST_ERROR_CODES = [
  'request_invalid',
  'exec_unknown',
  'identity_required',
  'path_refused',
  'tar_invalid',
  'not_found',
  'not_a_file',
  'disk_full',
  'guest_failed',
] as const
export type GuestErrorCode = (typeof GUEST_ERROR_CODES)[number]

export const parseGuestError = object({ code: oneOf(GUEST_ERROR_CODES), message: text(4000) })
export type GuestErrorObject = ReturnType<typeof parseGuestError>

const parseReplyOk = object({ ok: oneOf(['yes']), value: (value: unknown) => value })
const parseReplyError = object({ ok: oneOf(['no']), error: parseGuestError })
export type Reply =
  | { readonly ok: 'yes'; readonly value: unknown }
  | { readonly ok: 'no'; readonly error: GuestErrorObject }
export const parseReply: Parser<Reply> = (value, path) =>
  (value as { ok?: unknown } | null | undefined)?.ok === 'yes'
    ? { ok: 'yes', value: parseReplyOk(value, path).value }
    : parseReplyError(value, path)

/** How a stream ended; with an error it is incomplete. */
export const parseEnd = object({ error: optional(parseGuestError) })

/** Events of an attached exec, in order with its output. */
const EVENTS = {
  started: object({ kind: oneOf(['started']), pid: integer(0, SAFE) }),
  gap: object({ kind: oneOf(['gap']), stream: oneOf(['stdout', 'stderr']), from: offset, to: offset }),
  exited: object({ kind: oneOf(['exited']), ...exitShape, hostMark: optional(text(1000)) }),
} as const
export type GuestEvent = ReturnType<(typeof EVENTS)[keyof typeof EVENTS]>
const parseEventKind = oneOf(['started', 'gap', 'exited'])
export const parseEvent: Parser<GuestEvent> = (value, path) => {
  const kind = parseEventKind((value as { kind?: unknown } | null | undefined)?.kind, `${path}.kind`)
  return (EVENTS[kind] as Parser<GuestEvent>)(value, path)
}

/** A stream that the guest opens towards the host. */
export const parseOpen = object({ to: oneOf(['gateway']) })

/** What the driver tells the guest program when it starts it, as JSON on its standard input. */
export const parseGuestConfig = object({
  sandboxId: text(128),
  secret: text(128),
  /** File descriptor of the listening control socket */
  controlFd: integer(0, 1024),
  deadmanMs: waitMs,
  /** Environment of every exec, before its own */
  env: textByName(1024, TEXT_MAX),
  /** Who workloads run as; left out, they run as the guest program itself */
  workloadUser: optional(object({ uid: integer(1, 2 ** 32 - 2), gid: integer(1, 2 ** 32 - 2) })),
  /** Directories that are handed to the workload's user at the start */
  ownDirectories: list(guestPath, 32),
  /** Where an exec starts when it does not say */
  workspace: guestPath,
  /** Arguments put before every command, such as `prlimit … --` */
  argvPrefix: list(text(PATH_MAX), 64),
  /** Prefix → replacement, for drivers that cannot give the paths their names */
  pathMap: textByName(32, PATH_MAX),
  /** Whether the process tree is a pid namespace of its own */
  hasPidNamespace: boolean,
  /** Pid namespace of the host, as in `/proc/self/ns/pid`: what must not be killed */
  hostPidNamespace: text(100),
  /** Memory of all processes before the watchdog kills, bytes; left out: no watchdog */
  memoryBytesMax: optional(integer(1, SAFE)),
  processCountMax: optional(integer(1, SAFE)),
  /** How the gateway is reached */
  gateway: optional(
    object({
      kind: oneOf(['socket', 'tunnel']),
      socketPath: optional(guestPath),
      /** TCP port on loopback; 0 takes a free one and rewrites the environment */
      port: integer(0, 65_535),
    }),
  ),
})
export type GuestConfig = ReturnType<typeof parseGuestConfig>
