import { mkdir } from 'node:fs/promises'
import { ForgeError } from './contract.ts'
import { toForgeError } from './git-trouble.ts'

/** The process door that an implementation hands in (platform's runProcess). */
export type RunProcess = (request: {
  readonly argv: readonly string[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string | Uint8Array
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  readonly outputBytesMax: number
}) => Promise<{
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: Buffer
  readonly timedOut: boolean
  readonly truncated: boolean
}>

export type GitRequest = {
  /** What is attempted, for messages: `fetch main` */
  readonly attempt: string
  readonly args: readonly string[]
  /** Bare repository to work in */
  readonly gitDir?: string
  /** Further settings, `name=value`; visible in the process list, so never a secret */
  readonly settings?: readonly string[]
  /** Further environment; the only place for a secret */
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string | Uint8Array
  readonly signal: AbortSignal
  /** `ms`; default one minute */
  readonly timeoutMs?: number
  /** Default 4 MiB */
  readonly outputBytesMax?: number
  /** Exit codes that are answers; default only 0. Others throw */
  readonly answers?: readonly number[]
}

export type GitResult = {
  readonly code: number
  readonly stdout: Buffer
  readonly stderr: string
  readonly truncated: boolean
}

export type Git = (request: GitRequest) => Promise<GitResult>

/**
 * Nothing here comes from a repository or from the host's configuration: no hooks, no monitor, no filter, no
 * attributes or excludes of the machine, no helper that could ask or answer for a login, no redirect to elsewhere.
 */
const SETTINGS = [
  'protocol.ext.allow=never',
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.untrackedCache=false',
  'core.attributesFile=/dev/null',
  'core.excludesFile=/dev/null',
  'core.pager=cat',
  'core.editor=false',
  'core.protectHFS=true',
  'core.protectNTFS=true',
  'core.bigFileThreshold=16m',
  'core.alternateRefsCommand=:',
  'credential.helper=',
  'http.followRedirects=false',
  'http.lowSpeedLimit=1000',
  'http.lowSpeedTime=30',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=no',
  'push.recurseSubmodules=no',
  'gc.auto=0',
  'maintenance.auto=false',
  'receive.autogc=false',
  'commit.gpgSign=false',
  'log.showSignature=false',
  'diff.external=',
  'init.templateDir=',
  'init.defaultBranch=main',
  'advice.detachedHead=false',
]

const ENVIRONMENT = {
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_ASKPASS: '/bin/false',
  SSH_ASKPASS: '/bin/false',
  // A constant: ssh reads the daemon user's keys and known hosts, and never asks.
  GIT_SSH_COMMAND: 'ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=15',
  GIT_ALLOW_PROTOCOL: 'none',
  GIT_PROTOCOL_FROM_USER: '0',
  GIT_NO_LAZY_FETCH: '1',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_LITERAL_PATHSPECS: '1',
  GIT_OPTIONAL_LOCKS: '0',
  // One object of a hostile pack may claim any size; beyond this git gives up instead of the host.
  GIT_ALLOC_LIMIT: '1g',
} as const

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const TIMEOUT_MS = 60_000
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024

/**
 * The one way to run git on the host: argument arrays, a sealed configuration, a home of its own, a deadline.
 * @param homeDir created when missing; stays empty
 * @param path the `PATH` to find git in
 */
export function createGit(input: {
  readonly run: RunProcess
  readonly homeDir: string
  readonly path?: string
}): Git {
  const base = {
    ...ENVIRONMENT,
    PATH: input.path ?? DEFAULT_PATH,
    HOME: input.homeDir,
    XDG_CONFIG_HOME: input.homeDir,
  }
  return async (request) => {
    await mkdir(input.homeDir, { recursive: true, mode: 0o700 })
    const settings = [...SETTINGS, ...(request.settings ?? [])].flatMap((setting) => ['-c', setting])
    const where = request.gitDir === undefined ? [] : [`--git-dir=${request.gitDir}`]
    const result = await input.run({
      argv: ['git', ...settings, ...where, ...request.args],
      cwd: input.homeDir,
      env: { ...base, ...request.env },
      ...(request.stdin === undefined ? {} : { stdin: request.stdin }),
      timeoutMs: request.timeoutMs ?? TIMEOUT_MS,
      signal: request.signal,
      outputBytesMax: request.outputBytesMax ?? OUTPUT_BYTES_MAX,
    })
    const stderr = result.stderr.toString('utf8')
    if (result.timedOut) {
      const timeoutMs = request.timeoutMs ?? TIMEOUT_MS
      throw new ForgeError('timed_out', `git took longer than ${timeoutMs} ms to ${request.attempt}`)
    }
    if (result.code === null || !(request.answers ?? [0]).includes(result.code)) {
      throw toForgeError({ attempt: request.attempt, code: result.code, stderr })
    }
    return { code: result.code, stdout: result.stdout, stderr, truncated: result.truncated }
  }
}

/** The one line of a command that prints one. */
export function firstLine(result: GitResult): string {
  return result.stdout.toString('utf8').split('\n', 1)[0] ?? ''
}

/** Fields of an output that ends each with a zero byte, as bytes: names need not be text. */
export function splitZero(output: Buffer): Buffer[] {
  const fields: Buffer[] = []
  for (let start = 0; start < output.length; ) {
    const end = output.indexOf(0, start)
    if (end === -1) {
      fields.push(output.subarray(start))
      break
    }
    fields.push(output.subarray(start, end))
    start = end + 1
  }
  return fields
}
