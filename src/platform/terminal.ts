import type { Environment } from './environment.ts'

/** Where a command reads from and writes to, and what the reader on the other side can show. */
export type Terminal = {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly isStdinTerminal: boolean
  readonly isStdoutTerminal: boolean
  readonly isStderrTerminal: boolean
  /** Whether colour may go to standard output */
  readonly hasStdoutColor: boolean
  readonly hasStderrColor: boolean
  /** Whether a line on standard error may be drawn again */
  readonly canRedraw: boolean
  /** Width of standard output, characters; `null` when it is no terminal */
  readonly columnCount: number | null
}

export function openTerminal(environment: Environment): Terminal {
  const { stdin, stdout, stderr } = process
  const isStdoutTerminal = stdout.isTTY === true
  const isStderrTerminal = stderr.isTTY === true
  return {
    stdin,
    stdout,
    stderr,
    isStdinTerminal: stdin.isTTY === true,
    isStdoutTerminal,
    isStderrTerminal,
    hasStdoutColor: wantsColor(environment, isStdoutTerminal),
    hasStderrColor: wantsColor(environment, isStderrTerminal),
    canRedraw: isStderrTerminal && environment.TERM !== 'dumb',
    columnCount: isStdoutTerminal ? stdout.columns || 80 : null,
  }
}

/** NO_COLOR wins; then FORCE_COLOR and CLICOLOR_FORCE; then what the terminal is. */
export function wantsColor(environment: Environment, isTerminal: boolean): boolean {
  const { NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE, CLICOLOR, TERM } = environment
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false
  if (FORCE_COLOR === '0' || FORCE_COLOR === 'false') return false
  if (FORCE_COLOR !== undefined) return true
  if (CLICOLOR_FORCE !== undefined && CLICOLOR_FORCE !== '' && CLICOLOR_FORCE !== '0') return true
  return isTerminal && CLICOLOR !== '0' && TERM !== 'dumb'
}
