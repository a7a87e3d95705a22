import type { SwarmClient } from '../client/client.ts'
import type { Environment } from '../platform/environment.ts'
import type { Places } from '../platform/paths.ts'
import type { Terminal } from '../platform/terminal.ts'
import type { Output } from './output.ts'

/** Options that every command takes. */
export type GlobalOptions = {
  readonly json?: boolean
  readonly quiet?: boolean
  /** `false` with `--no-color` */
  readonly color?: boolean
  readonly url?: string
  readonly tokenFile?: string
  readonly config?: string
  readonly stateDir?: string
  readonly timeout?: string
}

/** What a command is handed. */
export type CliContext = {
  readonly environment: Environment
  readonly places: Places
  readonly terminal: Terminal
  readonly output: Output
  readonly globals: GlobalOptions
  /** Aborted by the first SIGINT or SIGTERM, and when `--timeout` has passed */
  readonly signal: AbortSignal
  /** Stops the usual handling of SIGINT and SIGTERM: the command has its own */
  takeOverSignals(): void
  /** The client for the daemon that the options, the environment or the state directory name */
  connect(): Promise<SwarmClient>
  /** Loads the files of all commands, so that their options are known */
  loadAllCommands(): Promise<void>
}
