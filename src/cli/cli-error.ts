import type { ExitCode } from './exit-codes.ts'

/** A command that cannot go on, in words for a person. Nothing here may hold a secret. */
export class CliError extends Error {
  readonly exitCode: ExitCode
  /** The next thing to do, most often a command */
  readonly hint: string | undefined
  /** Stable word for programs */
  readonly code: string

  constructor(
    exitCode: ExitCode,
    message: string,
    more: { hint?: string | undefined; code?: string; cause?: unknown } = {},
  ) {
    super(message, { cause: more.cause })
    this.name = 'CliError'
    this.exitCode = exitCode
    this.hint = more.hint
    this.code = more.code ?? 'cli_error'
  }
}
