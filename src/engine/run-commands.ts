import type { AgentEvent, AgentEventReader, AgentFailure } from '../agent/contract.ts'
import type { ExecExit, Sandbox } from '../sandbox/contract.ts'
import { SandboxError } from '../sandbox/contract.ts'
import type { AttemptLogWriter } from '../store/attempt-log.ts'
import {
  type AttemptContext,
  type AttemptHandle,
  type EndedCommand,
  toHandleJson,
} from './attempt-context.ts'
import { AttemptFailure } from './attempt-failure.ts'
import type { LiveAttempt } from './launch-attempt.ts'
import type { JobCommand, SandboxJob } from './sandbox-job.ts'
import { untilRecorded } from './until-recorded.ts'

export type CommandsEnd = {
  /** One for each command that was executed, in order */
  readonly ended: readonly EndedCommand[]
  /** Last failure that the agent printed: a hint about the reason, never about success */
  readonly failure: AgentFailure | null
}

/** Time that a guest has to report that a command's time was up, `ms` */
const OVERDUE_MS = 30_000
const TAIL_BYTES = 4_096
/** Kept of the standard output of a `run` step */
const STDOUT_BYTES = 65_536

/**
 * Executes what is left of the job's commands and copies their output to the attempt's log. After a restart it
 * goes on at the command and the byte where the process before it stopped. A failed `setup` ends the sequence; a
 * failed `check` does not, because a person wants to see them all.
 * @throws AttemptFailure when the time is up; SandboxError when the sandbox is lost; the signal's reason when stopped
 */
export async function runCommands(
  context: AttemptContext,
  job: SandboxJob,
  live: LiveAttempt,
  log: AttemptLogWriter,
  signal: AbortSignal,
): Promise<CommandsEnd> {
  const reader = job.agent?.adapter.openEvents()
  const watcher = new EventWatcher(context, reader, live.handle.failure)
  let handle = live.handle
  if (hasFailedSetup(job, handle)) return { ended: handle.ended, failure: watcher.failure }
  for (const command of job.commands.slice(handle.ended.length)) {
    const ended = await runCommand(context, job, {
      command,
      handle,
      sandbox: live.sandbox,
      log,
      watcher,
      signal,
    })
    handle = {
      ...handle,
      ended: [...handle.ended, ended],
      stdoutBase: log.position.stdoutOffset,
      stderrBase: log.position.stderrOffset,
      failure: watcher.failure,
    }
    const note = { ...context.proof, attemptId: context.attempt.id, handle: toHandleJson(handle) }
    await untilRecorded(() => context.deps.store.write.advanceAttempt({ ...note, phase: 'awaiting' }), {
      signal,
      logger: context.logger,
    })
    if (hasFailedSetup(job, handle)) break
  }
  return { ended: handle.ended, failure: watcher.failure }
}

/** Also true of notes that a process before this one took: what was not begun then is not begun now. */
function hasFailedSetup(job: SandboxJob, { ended }: AttemptHandle): boolean {
  return ended.some(({ code }, index) => job.commands[index]?.role === 'setup' && code !== 0)
}

type CommandRun = {
  command: JobCommand
  handle: AttemptHandle
  sandbox: Sandbox
  log: AttemptLogWriter
  watcher: EventWatcher
  signal: AbortSignal
}

async function runCommand(context: AttemptContext, job: SandboxJob, run: CommandRun): Promise<EndedCommand> {
  const { command, handle, sandbox, log, watcher, signal } = run
  const { store } = context.deps
  const leftMs = context.attempt.startedAt + job.timeoutMs - store.now()
  if (leftMs <= 0) throw timedOut(job)
  const startedAt = store.now()
  const status = await sandbox.exec({
    execId: command.execId,
    argv: command.argv,
    cwd: command.cwd,
    env: command.env,
    timeoutMs: leftMs,
  })
  if (!status.wasStarted)
    await log.append('system', new TextEncoder().encode(`$ ${toPrintable(command.argv)}\n`))
  const isMain = command.role === 'main'
  const tail = new Tail(TAIL_BYTES)
  const stdout = new Tail(isMain && job.agent === null ? STDOUT_BYTES : 0)
  let stdoutOffset = log.position.stdoutOffset - handle.stdoutBase
  const stderrOffset = log.position.stderrOffset - handle.stderrBase
  // Output that is in the log already is read once more for what the agent said in it, not written again.
  const replayUntil = stdoutOffset
  if (isMain) stdoutOffset = 0
  // The guest ends the command in its time; one that does not even say so is not waited for.
  const overdue = AbortSignal.timeout(leftMs + OVERDUE_MS)
  const untilOverdue = AbortSignal.any([signal, overdue])
  const offsets = { stdoutOffset, stderrOffset, signal: untilOverdue }
  for await (const event of sandbox.attach(command.execId, offsets)) {
    switch (event.kind) {
      case 'stdout': {
        const isReplay = event.offset < replayUntil
        const fresh = isReplay ? event.data.subarray(Math.max(0, replayUntil - event.offset)) : event.data
        if (isMain)
          await watcher.push(event.data, { isReplay: event.offset + event.data.length <= replayUntil })
        if (fresh.length > 0) await log.append('stdout', fresh)
        tail.push(event.data)
        stdout.push(event.data)
        break
      }
      case 'stderr':
        await log.append('stderr', event.data)
        tail.push(event.data)
        break
      case 'gap':
        await log.append(
          'system',
          new TextEncoder().encode(`[${event.to - event.from} bytes of ${event.stream} were lost]\n`),
        )
        break
      case 'exited':
        return toEnded(command, event, store.now() - startedAt, { tail: tail.text(), stdout: stdout.text() })
      case 'lost':
        throw new SandboxError('sandbox_lost', event.reason)
    }
  }
  signal.throwIfAborted()
  if (overdue.aborted) throw timedOut(job)
  throw new SandboxError('sandbox_lost', 'the output ended without an exit status')
}

function toEnded(
  command: JobCommand,
  exit: ExecExit,
  durationMs: number,
  said: { tail: string; stdout: string },
): EndedCommand {
  return {
    execId: command.execId,
    code: exit.code,
    signal: exit.signal,
    ...(exit.limit === undefined ? {} : { limit: exit.limit }),
    durationMs,
    ...said,
  }
}

function timedOut(job: SandboxJob): AttemptFailure {
  return new AttemptFailure('timed_out', `the attempt did not end within ${job.timeoutMs / 1000} s`)
}

/** Arguments for people to read; never executed. */
function toPrintable(argv: readonly string[]): string {
  return argv
    .map((argument) => (/^[\w./:=@%+,-]+$/.test(argument) ? argument : JSON.stringify(argument)))
    .join(' ')
}

/** Turns what an agent prints into events of the run; keeps its last word about failing. */
class EventWatcher {
  readonly #context: AttemptContext
  readonly #reader: AgentEventReader | undefined
  failure: AgentFailure | null

  constructor(context: AttemptContext, reader: AgentEventReader | undefined, failure: AgentFailure | null) {
    this.#context = context
    this.#reader = reader
    this.failure = failure
  }

  get isWatching(): boolean {
    return this.#reader !== undefined
  }

  async push(data: Uint8Array, { isReplay }: { isReplay: boolean }): Promise<void> {
    const events = this.#reader?.push(data) ?? []
    for (const event of events) {
      if (event.kind === 'failure') this.failure = event
      if (event.kind === 'milestone' && !isReplay) await this.#record(event)
    }
  }

  async #record(event: Extract<AgentEvent, { kind: 'milestone' }>): Promise<void> {
    const { deps, state, instance, attempt } = this.#context
    await deps.store.write.recordEvents([
      {
        type: 'agent.milestone',
        actor: `run:${state.run.id}`,
        ticketId: state.ticket.id,
        runId: state.run.id,
        stepInstanceId: instance.id,
        attempt: attempt.number,
        data: { text: event.text },
      },
    ])
  }
}

/** The last bytes that were pushed. */
class Tail {
  readonly #bytesMax: number
  #bytes: Buffer = Buffer.alloc(0)

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  push(data: Uint8Array): void {
    if (this.#bytesMax === 0) return
    this.#bytes = Buffer.concat([this.#bytes, data]).subarray(-this.#bytesMax)
  }

  text(): string {
    return this.#bytes.toString('utf8').replaceAll('\0', '')
  }
}
