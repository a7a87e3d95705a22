import { accessSync, constants, statfsSync, statSync } from 'node:fs'
import type {
  GuestConfig,
  GuestExecStatus,
  GuestExit,
  GuestRequestOf,
} from '../src/sandbox/guest-protocol-messages.ts'
import { Exec } from './exec.ts'
import { GuestError } from './guest-error.ts'
import { mapPath, mapText } from './path-map.ts'
import { EXEC_MARKER, killEverything, SANDBOX_MARKER } from './process-tree.ts'
import { startWatchdog } from './watchdog.ts'

/** Finished execs whose output is kept */
const FINISHED_COUNT_MAX = 64
const GATEWAY_ADDRESS = '127.0.0.1:3128'

/** Every exec of the sandbox by its id, running and finished. */
export class ExecTable {
  readonly #config: GuestConfig
  readonly #execs = new Map<string, Exec>()
  #gatewayPort: number | undefined
  #refusal: string | undefined
  #waiting: (() => void)[] = []
  #stopWatchdog: (() => void) | undefined

  constructor(config: GuestConfig) {
    this.#config = config
  }

  /** Execs wait until the way out is there: the environment names its port. */
  setGatewayPort(port: number | undefined): void {
    this.#gatewayPort = port ?? 0
    for (const wake of this.#waiting.splice(0)) wake()
  }

  refuse(reason: string): void {
    this.#refusal = reason
    for (const wake of this.#waiting.splice(0)) wake()
  }

  async start(request: GuestRequestOf<'exec'>, stdin: Buffer): Promise<GuestExecStatus> {
    while (this.#gatewayPort === undefined && this.#refusal === undefined) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    if (this.#refusal !== undefined) throw new GuestError('guest_failed', this.#refusal)
    const known = this.#execs.get(request.execId)
    if (known !== undefined) return known.status(true)
    const exec = new Exec(request, () => this.#afterEnd(exec))
    this.#startNow(exec, request, stdin)
    this.#forgetOldest()
    return exec.status(false)
  }

  get(execId: string): Exec {
    const exec = this.#execs.get(execId)
    if (exec === undefined) throw new GuestError('exec_unknown', `no exec ${execId} in this sandbox`)
    return exec
  }

  find(execId: string): Exec | undefined {
    return this.#execs.get(execId)
  }

  running(): readonly Exec[] {
    return [...this.#execs.values()].filter(({ exit }) => exit === undefined)
  }

  endAll(limit: NonNullable<GuestExit['limit']>): void {
    for (const exec of this.running()) exec.terminate(limit)
  }

  #startNow(exec: Exec, request: GuestRequestOf<'exec'>, stdin: Buffer): void {
    const env = this.#environmentOf(request)
    const argv = request.argv.map((argument) => mapText(this.#config.pathMap, argument))
    const cwd = mapPath(this.#config.pathMap, request.cwd ?? this.#config.workspace)
    if (argv[0] === undefined || argv[0] === '') throw new GuestError('request_invalid', 'argv is empty')
    const program = findProgram(argv[0], env.PATH ?? '', cwd)
    if (program.kind === 'found') {
      const command = [...this.#config.argvPrefix, program.path, ...argv.slice(1)]
      exec.start(
        { argv: command, cwd, env },
        {
          stdin: request.stdin === 'open' ? 'open' : stdin,
          ...(request.timeoutMs === undefined ? {} : { timeoutMs: request.timeoutMs }),
        },
      )
      if (request.stdin === 'open' && stdin.length > 0) void exec.writeStdin(stdin, false).catch(() => {})
    }
    this.#execs.set(exec.id, exec)
    if (program.kind === 'absent') exec.failToStart(127, `${argv[0]}: command not found`)
    if (program.kind === 'refused') exec.failToStart(126, `${argv[0]}: not executable`)
    this.#stopWatchdog ??= startWatchdog(this.#config, () => this.running())
  }

  #environmentOf(request: GuestRequestOf<'exec'>): Record<string, string> {
    const merged = { ...this.#config.env, ...request.env }
    const address = `127.0.0.1:${this.#gatewayPort}`
    const env: Record<string, string> = {}
    for (const [name, value] of Object.entries(merged)) {
      const mapped =
        name === 'PATH' ? mapSearchPath(this.#config.pathMap, value) : mapText(this.#config.pathMap, value)
      env[name] = this.#gatewayPort ? mapped.replaceAll(GATEWAY_ADDRESS, address) : mapped
    }
    return { ...env, [EXEC_MARKER]: request.execId, [SANDBOX_MARKER]: this.#config.sandboxId }
  }

  /** With nothing else running, whatever is left in the namespace has no business there. */
  #afterEnd(exec: Exec): void {
    if (exec.exit !== undefined && exec.exit.code !== 0 && exec.exit.limit === undefined) {
      if (isDiskFull(mapPath(this.#config.pathMap, this.#config.workspace), this.#config)) {
        exec.exit = { ...exec.exit, limit: 'disk' }
      }
    }
    if (this.running().length > 0) return
    this.#stopWatchdog?.()
    this.#stopWatchdog = undefined
    if (this.#config.hasPidNamespace) killEverything(this.#config)
  }

  #forgetOldest(): void {
    const finished = [...this.#execs.values()].filter(({ exit }) => exit !== undefined)
    for (const exec of finished.slice(0, Math.max(0, finished.length - FINISHED_COUNT_MAX))) {
      this.#execs.delete(exec.id)
    }
  }
}

type Program = { readonly kind: 'found'; readonly path: string } | { readonly kind: 'absent' | 'refused' }

/** As execvp would: a name with a slash is a path, any other is looked for. */
function findProgram(name: string, searchPath: string, cwd: string): Program {
  const candidates = name.includes('/')
    ? [name.startsWith('/') ? name : `${cwd}/${name}`]
    : searchPath.split(':').map((directory) => `${directory || '.'}/${name}`)
  let isRefused = false
  for (const path of candidates) {
    try {
      if (!statSync(path).isFile()) throw Object.assign(new Error('not a file'), { code: 'EACCES' })
      accessSync(path, constants.X_OK)
      return { kind: 'found', path }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EACCES') isRefused = true
    }
  }
  return { kind: isRefused ? 'refused' : 'absent' }
}

function mapSearchPath(pathMap: GuestConfig['pathMap'], value: string): string {
  return value
    .split(':')
    .map((directory) => mapText(pathMap, directory))
    .join(':')
}

function isDiskFull(workspace: string, config: GuestConfig): boolean {
  if (!config.hasPidNamespace) return false
  return [workspace, '/tmp', '/home/agent', '/swarm'].some((path) => {
    try {
      return statfsSync(path).bavail === 0
    } catch {
      // Not a place of its own here; then it cannot be the full one.
      return false
    }
  })
}
