import { readEnvironment } from '../platform/environment.ts'
import { readPlaces } from '../platform/paths.ts'
import { onStopSignals } from '../platform/signals.ts'
import { openTerminal } from '../platform/terminal.ts'
import { EXIT } from './exit-codes.ts'
import { createProgram } from './program.ts'
import { reportFailure, toFailure } from './report-failure.ts'

/**
 * Runs one command of this process's arguments and ends the process with its exit code. The first SIGINT or
 * SIGTERM asks the command to stop, the second stops at once.
 */
export async function main(): Promise<void> {
  const argv = process.argv.slice(2)
  const environment = readEnvironment()
  const terminal = openTerminal(environment)
  endQuietlyOnClosedPipe(terminal.stdout)
  const stop = new AbortController()
  const releaseSignals = onStopSignals(['SIGINT', 'SIGTERM'], () => {
    if (stop.signal.aborted) process.exit(EXIT.interrupted)
    stop.abort(new DOMException('stopped by a signal', 'AbortError'))
  })

  const { program, outcome } = createProgram({
    environment,
    places: readPlaces(environment),
    terminal,
    signal: stop.signal,
    releaseSignals,
  })
  try {
    await program.parseAsync(argv, { from: 'user' })
    exit(stop.signal.aborted ? EXIT.interrupted : outcome.exitCode)
  } catch (error) {
    const failure = stop.signal.aborted
      ? { exitCode: EXIT.interrupted, code: 'interrupted', message: null, hint: undefined }
      : toFailure(error, environment)
    reportFailure(failure, { terminal, isJson: argv.includes('--json') })
    exit(failure.exitCode)
  }
}

/** Ends when everything written has left; connections that are kept alive do not hold it up. */
function exit(code: number): void {
  process.exitCode = code
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
}

/** `swarm … | head` closes the pipe when it has seen enough: no error, nothing more to say. */
function endQuietlyOnClosedPipe(stdout: NodeJS.WriteStream): void {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok)
    throw error
  })
}
