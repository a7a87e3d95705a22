import type { AgentOutcome } from '../agent/contract.ts'
import { readOutput } from '../agent/read-output.ts'
import type { JsonObject } from '../domain/json.ts'
import type { Reason } from '../domain/reason.ts'
import type { Sandbox } from '../sandbox/contract.ts'
import type { EndedCommand } from './attempt-context.ts'
import { AttemptFailure } from './attempt-failure.ts'
import type { CommandsEnd } from './run-commands.ts'
import type { SandboxJob } from './sandbox-job.ts'

/** What the commands' ends mean. The exit code is authoritative; a limit that fired says why. */
export async function concludeCommands(
  job: SandboxJob,
  end: CommandsEnd,
  sandbox: Sandbox,
): Promise<{ outputs: JsonObject; exitCode: number | null }> {
  const failedSetup = end.ended.find(
    (command, index) => job.commands[index]?.role === 'setup' && command.code !== 0,
  )
  if (failedSetup !== undefined) throw toFailure(failedSetup, `setup command ${failedSetup.execId}`)
  const checks = end.ended.filter((_, index) => job.commands[index]?.role === 'check')
  if (checks.length > 0) return concludeChecks(job, checks)
  const main = end.ended.at(-1)
  if (main === undefined) throw new AttemptFailure('result_missing', 'nothing was executed')
  if (main.limit !== undefined) throw toFailure(main, 'the step')
  if (job.agent !== null) return await concludeAgent(job.agent, end, main, sandbox)
  const outputs = { exitCode: main.code, stdout: main.stdout }
  if (main.code !== 0) throw toFailure(main, 'the command', outputs)
  return { outputs, exitCode: main.code }
}

const REASON_OF_LIMIT: Readonly<Record<NonNullable<EndedCommand['limit']>, Reason>> = {
  memory: 'out_of_memory',
  processes: 'agent_crashed',
  disk: 'disk_full',
  time: 'timed_out',
  deadman: 'sandbox_lost',
}

function toFailure(command: EndedCommand, what: string, outputs?: JsonObject): AttemptFailure {
  const reason = command.limit === undefined ? 'command_failed' : REASON_OF_LIMIT[command.limit]
  const how = command.signal === null ? `exit code ${command.code}` : `signal ${command.signal}`
  const limit = command.limit === undefined ? '' : `, limit: ${command.limit}`
  const said = command.tail.trim().slice(-1_000)
  return new AttemptFailure(reason, `${what} ended with ${how}${limit}${said === '' ? '' : `: ${said}`}`, {
    exitCode: command.code,
    ...(outputs === undefined ? {} : { outputs }),
  })
}

/**
 * `passed`: exit code 0. `failed`: any other code. `error`: it could not be executed or did not end by itself, so
 * nobody knows. Only all passed opens the gate; no command at all never does.
 */
function concludeChecks(
  job: SandboxJob,
  ended: readonly EndedCommand[],
): { outputs: JsonObject; exitCode: number | null } {
  const wanted = job.commands.filter((command) => command.role === 'check')
  const checks = wanted.map((command) => {
    const end = ended.find((candidate) => candidate.execId === command.execId)
    return {
      command: command.argv,
      result: end === undefined ? 'skipped' : toCheckResult(end),
      exitCode: end?.code ?? null,
      durationMs: end?.durationMs ?? 0,
      tail: end?.tail ?? '',
    }
  })
  const worst = ['error', 'failed', 'skipped'].find((result) =>
    checks.some((check) => check.result === result),
  )
  const outputs: JsonObject = { result: worst ?? 'passed', checks }
  if (worst === undefined && checks.length > 0) return { outputs, exitCode: 0 }
  const bad = checks.find((check) => check.result === worst)
  throw new AttemptFailure(
    worst === 'failed' ? 'verification_failed' : 'verification_error',
    `check ${JSON.stringify(bad?.command ?? [])} ${worst ?? 'is missing'}: ${bad?.tail.trim().slice(-2_000) ?? ''}`,
    { outputs, exitCode: bad?.exitCode ?? null },
  )
}

const COMMAND_NOT_STARTED = [126, 127]

function toCheckResult({ code, limit }: EndedCommand): 'passed' | 'failed' | 'error' {
  if (limit !== undefined || code === null || COMMAND_NOT_STARTED.includes(code)) return 'error'
  return code === 0 ? 'passed' : 'failed'
}

async function concludeAgent(
  agent: NonNullable<SandboxJob['agent']>,
  end: CommandsEnd,
  main: EndedCommand,
  sandbox: Sandbox,
): Promise<{ outputs: JsonObject; exitCode: number | null }> {
  const { outputPath } = agent.adapter.command(agent.request)
  const output = await readOutput((path, options) => sandbox.getFile(path, options), outputPath)
  const outcome: AgentOutcome = await agent.adapter.interpret(agent.request, {
    exitCode: main.code,
    signal: main.signal,
    output,
    failure: end.failure,
  })
  if (outcome.kind === 'succeeded') return { outputs: outcome.outputs, exitCode: main.code }
  throw new AttemptFailure(outcome.reason, outcome.detail, {
    exitCode: main.code,
    ...(outcome.retryAfterMs === undefined ? {} : { retryAfterMs: outcome.retryAfterMs }),
  })
}
