import { Command, CommanderError, Option } from 'commander'
import type { Environment } from '../platform/environment.ts'
import type { Places } from '../platform/paths.ts'
import type { Terminal } from '../platform/terminal.ts'
import { COMMANDS, type CommandSpec } from './commands.ts'
import type { CliContext, GlobalOptions } from './context.ts'
import type { ExitCode } from './exit-codes.ts'
import { EXIT } from './exit-codes.ts'
import { createOutput } from './output.ts'
import { parseTimeout } from './parse-options.ts'
import { readVersion } from './version.ts'

export type Runtime = {
  readonly environment: Environment
  readonly places: Places
  readonly terminal: Terminal
  readonly signal: AbortSignal
  /** Leaves SIGINT and SIGTERM to the command */
  readonly releaseSignals: () => void
}

/** What a command does: gives its exit code, nothing when all went well. */
export type Action<Options> = (
  context: CliContext,
  args: readonly string[],
  options: Options,
) => Promise<ExitCode | undefined>

/** Turns an action into what commander calls. */
export type Act = <Options = Record<string, never>>(
  action: Action<Options>,
) => (...args: readonly unknown[]) => Promise<void>

/** A file of a command: says its arguments, options and action. Loaded only when the command is used. */
export type CommandModule = { configure(command: Command, act: Act): void }

export type Program = {
  readonly program: Command
  /** Filled in by the command */
  readonly outcome: { exitCode: ExitCode }
}

/** The tree of commands. Only names and summaries are known at first; a command's file is loaded when it is named. */
export function createProgram(runtime: Runtime): Program {
  const outcome: { exitCode: ExitCode } = { exitCode: EXIT.ok }
  const loaders = new Map<Command, () => Promise<void>>()
  const loadAll = async () => {
    for (const load of loaders.values()) await load()
  }
  const act: Act =
    <Options>(action: Action<Options>) =>
    async (...args: readonly unknown[]) => {
      const command = args.at(-1) as Command
      const context = createContext(runtime, readGlobals(command), loadAll)
      try {
        const exitCode = await action(context, command.processedArgs.flat(), command.opts() as Options)
        outcome.exitCode = exitCode ?? EXIT.ok
      } catch (error) {
        // What a call says when it was cut off matters less than who cut it.
        if (context.signal.aborted) throw context.signal.reason
        throw error
      }
    }

  const program = new Command('swarm')
  program
    .description('Turns tickets into reviewed pull requests')
    .exitOverride(refuseWith('swarm help'))
    .enablePositionalOptions()
    .helpCommand(false)
    .configureHelp({ sortSubcommands: false, subcommandTerm: (command) => command.name() })
    .option('--version', 'print the version')
    .addHelpText('after', '\nExit codes: swarm help exit-codes. Variables: swarm help environment.')
    .configureOutput({
      writeOut: (text) => runtime.terminal.stdout.write(text),
      writeErr: (text) => runtime.terminal.stderr.write(text),
      // Said once, with its hint, where every failure is said.
      outputError: () => {},
      getOutHasColors: () => runtime.terminal.hasStdoutColor,
      getErrHasColors: () => runtime.terminal.hasStderrColor,
      getOutHelpWidth: () => runtime.terminal.columnCount ?? 100,
      getErrHelpWidth: () => runtime.terminal.columnCount ?? 100,
    })
  addGlobalOptions(program, { isListed: true })
  program.on('option:version', () => {
    runtime.terminal.stdout.write(`${readVersion()}\n`)
    throw new CommanderError(EXIT.ok, 'commander.version', '')
  })
  addCommands(program, COMMANDS, { act, loaders })
  return { program, outcome }
}

/** The hint goes with commander's error to where it is said. */
function refuseWith(hint: string) {
  return (error: CommanderError): never => {
    throw Object.assign(error, { hint })
  }
}

type Tree = { readonly act: Act; readonly loaders: Map<Command, () => Promise<void>> }

function addCommands(parent: Command, specs: readonly CommandSpec[], tree: Tree): void {
  for (const spec of specs) {
    const command = parent.command(spec.name, { hidden: spec.isHidden === true }).summary(spec.summary)
    command.description(spec.summary).enablePositionalOptions()
    command.exitOverride(refuseWith(`${nameOf(command)} --help`))
    if ('commands' in spec) {
      addGlobalOptions(command, { isListed: false })
      addCommands(command.helpCommand(false), spec.commands, tree)
      continue
    }
    let loaded: Promise<void> | undefined
    tree.loaders.set(command, () => {
      loaded ??= spec.load().then((module) => {
        module.configure(command, tree.act)
        addGlobalOptions(command, { isListed: true })
      })
      return loaded
    })
  }
  parent.hook('preSubcommand', async (_parent, command) => await tree.loaders.get(command)?.())
}

/** `swarm tracker check` */
function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`
}

const GLOBAL_OPTIONS: readonly (readonly [flags: string, description: string])[] = [
  ['--json', 'data as JSON; as one line each when it is a stream'],
  ['-q, --quiet', 'identifiers only, one per line, and no messages'],
  ['--no-color', 'no colour'],
  ['--url <address>', 'address of the API, with a token from SWARM_TOKEN or --token-file'],
  ['--token-file <path>', 'file with the token, readable by its owner only'],
  ['--config <path>', 'configuration file'],
  ['--state-dir <path>', 'directory of the state and of the socket'],
  ['--timeout <duration>', 'give up after this time, such as 30s or 10m'],
]

/** On every command, so that they may stand before or after its name and never eat another option's value. */
function addGlobalOptions(command: Command, { isListed }: { isListed: boolean }): void {
  for (const [flags, description] of GLOBAL_OPTIONS) {
    command.addOption(
      new Option(flags, description).helpGroup('Options for every command:').hideHelp(!isListed),
    )
  }
}

/** What was said wins over what was not, and nearer to the command's end over further away. */
function readGlobals(command: Command): GlobalOptions {
  const said: Record<string, unknown> = {}
  for (let each: Command | null = command; each !== null; each = each.parent) {
    for (const [name, value] of Object.entries(each.opts())) {
      if (each.getOptionValueSource(name) !== 'default' && !(name in said)) said[name] = value
    }
  }
  return said
}

function createContext(
  runtime: Runtime,
  globals: GlobalOptions,
  loadAllCommands: () => Promise<void>,
): CliContext {
  const timeoutMs = parseTimeout(globals.timeout)
  const signal =
    timeoutMs === undefined
      ? runtime.signal
      : AbortSignal.any([runtime.signal, AbortSignal.timeout(timeoutMs)])
  const output = createOutput(runtime.terminal, {
    json: globals.json === true,
    quiet: globals.quiet === true,
    color: globals.color !== false,
  })
  const context: CliContext = {
    environment: runtime.environment,
    places: runtime.places,
    terminal: runtime.terminal,
    output,
    globals,
    signal,
    takeOverSignals: runtime.releaseSignals,
    loadAllCommands,
    connect: async () => (await import('./connect.ts')).connect(context),
  }
  return context
}
