/**
 * What a command does in the fake sandbox. Small programs are known by name (`echo`, `cat`, `cp` …), anything
 * with a path is taken as an agent that does nothing. Both are steered by `NAME=value` in the environment or
 * among the arguments:
 *
 *   FAKE_OUTPUT, FAKE_STDERR   text it prints
 *   FAKE_OUTPUT_JSON           text it writes to the file named by its last argument
 *   FAKE_FILES                 JSON object, path → text, files it writes
 *   FAKE_EXIT_CODE             its exit code; default 0
 *   FAKE_DELAY_MS              time it takes
 *   FAKE_HANG=1                never ends by itself; `FAKE_HANG=hard` ignores SIGTERM too
 *   FAKE_OOM=1                 killed, out of memory
 *   FAKE_LOST=1                the whole sandbox vanishes
 */
import { posix } from 'node:path'
import type { GuestExit } from '../guest-protocol-messages.ts'
import { FakeFileError, type FakeFiles } from './fake-files.ts'

export type FakeCommand = {
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

export type FakeOutcome = {
  readonly stdout: string
  readonly stderr: string
  readonly end:
    | { readonly kind: 'exit'; readonly exit: GuestExit; readonly afterMs: number }
    | { readonly kind: 'hang'; readonly ignoresTerm: boolean }
    | { readonly kind: 'lost' }
}

/** Runs a command against the files. `stdin` is what was written before it was closed. */
export function runFakeProgram(command: FakeCommand, files: FakeFiles, stdin: Buffer): FakeOutcome {
  const steer = toSteering(command)
  const argv = command.argv.filter((argument) => !/^FAKE_[A-Z_]+=/s.test(argument))
  const known = runKnown(argv, command, files, stdin)
  const stdout = known.stdout + (steer.FAKE_OUTPUT ?? '')
  const stderr = known.stderr + (steer.FAKE_STDERR ?? '')
  if (steer.FAKE_LOST !== undefined) return { stdout, stderr, end: { kind: 'lost' } }
  if (steer.FAKE_HANG !== undefined) {
    return { stdout, stderr, end: { kind: 'hang', ignoresTerm: steer.FAKE_HANG === 'hard' } }
  }
  writeSteered(steer, argv, command.cwd, files)
  const afterMs = Number(steer.FAKE_DELAY_MS ?? 0) + known.delayMs
  if (steer.FAKE_OOM !== undefined) {
    return {
      stdout,
      stderr,
      end: { kind: 'exit', afterMs, exit: { code: null, signal: 'SIGKILL', limit: 'memory' } },
    }
  }
  const code = Number(steer.FAKE_EXIT_CODE ?? known.code)
  return { stdout, stderr, end: { kind: 'exit', afterMs, exit: { code, signal: null } } }
}

function toSteering({ argv, env }: FakeCommand): Partial<Record<string, string>> {
  const fromArgv = argv.flatMap((argument) => {
    const match = /^(FAKE_[A-Z_]+)=(.*)$/s.exec(argument)
    return match === null ? [] : [[match[1] as string, match[2] as string] as const]
  })
  return { ...env, ...Object.fromEntries(fromArgv) }
}

function writeSteered(
  steer: Partial<Record<string, string>>,
  argv: readonly string[],
  cwd: string,
  files: FakeFiles,
): void {
  const output = argv.at(-1)
  if (steer.FAKE_OUTPUT_JSON !== undefined && output !== undefined) {
    files.write(posix.resolve(cwd, output), Buffer.from(steer.FAKE_OUTPUT_JSON))
  }
  const written = JSON.parse(steer.FAKE_FILES ?? '{}') as Record<string, string>
  for (const [path, text] of Object.entries(written)) files.write(posix.resolve(cwd, path), Buffer.from(text))
}

type Known = {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  readonly delayMs: number
}
const silent = (code: number): Known => ({ code, stdout: '', stderr: '', delayMs: 0 })
const printed = (stdout: string): Known => ({ ...silent(0), stdout })

function runKnown(
  argv: readonly string[],
  { cwd, env }: FakeCommand,
  files: FakeFiles,
  stdin: Buffer,
): Known {
  const [program = '', ...args] = argv
  const name = /^\/(usr\/)?bin\//.test(program) ? posix.basename(program) : program
  const at = (path = '') => posix.resolve(cwd, path)
  try {
    switch (name) {
      case 'true':
        return silent(0)
      case 'false':
        return silent(1)
      case 'echo':
        return printed(`${args.join(' ')}\n`)
      case 'pwd':
        return printed(`${cwd}\n`)
      case 'printenv':
        return env[args[0] ?? ''] === undefined ? silent(1) : printed(`${env[args[0] ?? '']}\n`)
      case 'sleep':
        return { ...silent(0), delayMs: Number(args[0] ?? 0) * 1000 }
      case 'cat':
        return printed(
          args.length === 0 ? stdin.toString() : args.map((path) => files.read(at(path))).join(''),
        )
      case 'cp':
        files.write(at(args[1]), files.read(at(args[0])))
        return silent(0)
      default:
        if (name.includes('/')) return silent(0)
        return { ...silent(127), stderr: `swarm: ${program}: command not found\n` }
    }
  } catch (error) {
    if (!(error instanceof FakeFileError)) throw error
    return { ...silent(1), stderr: `${name}: ${error.message}\n` }
  }
}
