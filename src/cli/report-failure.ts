import { CommanderError } from 'commander'
import pc from 'picocolors'
import type { Environment } from '../platform/environment.ts'
import type { Terminal } from '../platform/terminal.ts'
import { CliError } from './cli-error.ts'
import { escapeLines, toSafeJson } from './escape-text.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { describeSystemError, isSystemError } from './system-words.ts'

export type Failure = {
  readonly exitCode: ExitCode
  readonly code: string
  /** `null`: everything was said already */
  readonly message: string | null
  readonly hint: string | undefined
}

/** What went wrong in words, a hint and an exit code. A mistake of ours comes with its stack. */
export function toFailure(error: unknown, environment: Environment): Failure {
  if (error instanceof CommanderError) return fromCommander(error)
  if (error instanceof CliError) return error
  if (!(error instanceof Error)) return mistake(String(error))
  // Compared by name: loading the client or the configuration just to fail would make every start slower.
  if (error.name === 'ApiError') return fromApi(error as ApiFailure)
  if (error.name === 'ConnectionError') return fromConnection(error as Error & { code: string }, environment)
  if (error.name === 'ConfigError') {
    const hint =
      (error as Error & { code: string }).code === 'config_unreadable'
        ? 'mend that, or write a configuration of your own: swarm init'
        : 'correct it, then see every value and where it comes from: swarm config explain'
    return { exitCode: EXIT.usage, code: 'config_invalid', message: error.message, hint }
  }
  if (error.name === 'AbortError')
    return { exitCode: EXIT.interrupted, code: 'interrupted', message: null, hint: undefined }
  if (error.name === 'TimeoutError') {
    return {
      exitCode: EXIT.timeout,
      code: 'timed_out',
      message: 'the time given with --timeout passed',
      hint: undefined,
    }
  }
  if (error.name === 'DirectoryNotPrivateError') {
    const hint = (error as Error & { readonly fix: string }).fix
    return { exitCode: EXIT.failed, code: 'directory_not_private', message: error.message, hint }
  }
  if (isSystemError(error)) {
    const isForbidden = error.code === 'EACCES' || error.code === 'EPERM'
    const hint = isForbidden ? 'become the user who owns it, or name another place' : undefined
    return { exitCode: EXIT.failed, code: 'system_error', message: toSystemMessage(error), hint }
  }
  return mistake(error.stack ?? error.message)
}

/** What was tried, for the calls whose names say it */
const VERBS: Readonly<Record<string, string>> = {
  open: 'cannot open',
  mkdir: 'cannot make',
  scandir: 'cannot list',
  unlink: 'cannot remove',
  stat: 'cannot look at',
}

function toSystemMessage(error: NodeJS.ErrnoException): string {
  const { path, syscall = '' } = error
  const subject = path === undefined ? syscall : [VERBS[syscall] ?? '', path].join(' ').trim()
  return [subject, describeSystemError(error)].filter((word) => word !== '').join(': ')
}

/** Prints the failure on standard error: for people, or as one line of JSON. */
export function reportFailure(failure: Failure, options: { terminal: Terminal; isJson: boolean }): void {
  const { exitCode, code, message, hint } = failure
  if (message === null) return
  const { stderr, hasStderrColor } = options.terminal
  if (options.isJson) {
    stderr.write(
      `${toSafeJson({ error: { code, message, ...(hint === undefined ? {} : { hint }), exitCode } })}\n`,
    )
    return
  }
  const colors = pc.createColors(hasStderrColor)
  stderr.write(`${colors.red('error:')} ${escapeLines(message)}\n`)
  if (hint !== undefined) stderr.write(`${colors.dim('hint:')} ${escapeLines(hint)}\n`)
}

/** Help that was asked for is an answer; help in place of a command that was not is all there is to say. */
function fromCommander({ code, message, hint }: CommanderError & { readonly hint?: string }): Failure {
  if (code === 'commander.helpDisplayed' || code === 'commander.version')
    return { exitCode: EXIT.ok, code, message: null, hint: undefined }
  if (code === 'commander.help') return { exitCode: EXIT.usage, code, message: null, hint: undefined }
  return { exitCode: EXIT.usage, code: 'usage', message: message.replace(/^error: /, ''), hint }
}

type ApiFailure = Error & {
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly hint: string | undefined
  readonly errors: readonly { readonly in: string; readonly pointer: string; readonly message: string }[]
}

function fromApi(error: ApiFailure): Failure {
  // Often the sentence has them already.
  const news = error.errors.filter((field) => !error.detail.includes(field.message))
  const fields = news.map((field) => `  ${field.pointer || field.in}: ${field.message}`)
  const message = [error.detail, ...fields].join('\n')
  // The API tells a program of headers; here a person needs the option.
  const hint = error.status === 401 ? hintFor(401) : (error.hint ?? hintFor(error.status))
  return { exitCode: toExitCode(error), code: error.code, message, hint }
}

const EXIT_BY_STATUS: Readonly<Record<number, ExitCode>> = {
  400: EXIT.usage,
  401: EXIT.auth,
  403: EXIT.auth,
  404: EXIT.notFound,
  409: EXIT.conflict,
  410: EXIT.notFound,
  412: EXIT.conflict,
  413: EXIT.usage,
  422: EXIT.usage,
  428: EXIT.conflict,
  502: EXIT.unreachable,
  503: EXIT.unreachable,
  504: EXIT.unreachable,
}

function toExitCode({ status, code }: ApiFailure): ExitCode {
  if (code === 'budget' || code === 'refused') return EXIT.refused
  return EXIT_BY_STATUS[status] ?? EXIT.failed
}

function hintFor(status: number): string | undefined {
  if (status === 401) return 'give a token with SWARM_TOKEN or --token-file, or use the socket on the host'
  if (status === 403) return 'the token lacks a scope: swarm token list'
  if (status === 412) return 'it was changed meanwhile: look at it and try again'
  return undefined
}

function fromConnection(error: Error & { code: string }, environment: Environment): Failure {
  const system = findSystemCode(error)
  if (system === 'EACCES' || system === 'EPERM') {
    const hint =
      'the socket belongs to the user who runs the daemon; become that user, or use SWARM_URL and SWARM_TOKEN'
    return {
      exitCode: EXIT.auth,
      code: 'socket_forbidden',
      message: 'this user may not open the socket',
      hint,
    }
  }
  const hint = environment.SWARM_URL
    ? 'is SWARM_URL right, and does the daemon run there?'
    : 'start it with `swarm up --detach`; look around with `swarm doctor`'
  if (error.code === 'answer_invalid') {
    return { exitCode: EXIT.failed, code: error.code, message: error.message, hint: 'is it another version?' }
  }
  const silent =
    error.cause instanceof Error && error.cause.name === 'UnreachableSocket' ? error.cause : error
  return { exitCode: EXIT.unreachable, code: error.code, message: silent.message, hint }
}

function findSystemCode(error: unknown): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code !== undefined && /^E[A-Z]+$/.test(code)) return code
  }
  return undefined
}

function mistake(message: string): Failure {
  return { exitCode: EXIT.failed, code: 'internal', message, hint: 'this is a mistake in swarm' }
}
