import type { AgentAdapter, AgentRequest } from '../agent/contract.ts'
import { SANDBOX_LAYOUT } from '../agent/contract.ts'
import type { DoorPolicy } from '../gateway/contract.ts'
import type { SandboxLimits } from '../sandbox/contract.ts'
import type { AttemptContext } from './attempt-context.ts'
import { AttemptFailure } from './attempt-failure.ts'
import { renderAgentPrompt } from './render-agent-prompt.ts'
import { getPins } from './to-planner-state.ts'

/** What one attempt does in its sandbox; the same again after a restart. */
export type SandboxJob = {
  /** Executed one after the other */
  readonly commands: readonly JobCommand[]
  readonly needsWorkspace: boolean
  /** Whether changes in the workspace are brought home */
  readonly bringsWorkHome: boolean
  readonly limits: SandboxLimits
  /** For the whole attempt, `ms` */
  readonly timeoutMs: number
  readonly policy: DoorPolicy
  readonly agent: { readonly adapter: AgentAdapter; readonly request: AgentRequest } | null
}

export type JobCommand = {
  readonly execId: string
  /** `setup`: a failure ends the attempt; `main`: the step itself; `check`: one of a verification's commands */
  readonly role: 'setup' | 'main' | 'check'
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

/** Pure but for looking up the agent and rendering its prompt. */
export async function toSandboxJob(context: AttemptContext, signal: AbortSignal): Promise<SandboxJob> {
  const { work, step, deps, state } = context
  const pins = getPins(state)
  const hasRepository = pins.startCommit !== null
  const timeoutMs = step.timeoutMs ?? deps.settings.attemptTimeoutMs
  const common = { limits: deps.settings.limits, timeoutMs }
  const setup = hasRepository ? toCommands('setup', pins.setup) : []

  switch (work.kind) {
    case 'agent': {
      const request = await toAgentRequest(context, signal)
      const command = request.adapter.command(request.request)
      const wanted = request.request.package
      const usesWorkspace = request.request.hasWorkspace
      return {
        ...common,
        timeoutMs: step.timeoutMs ?? Math.min(wanted.timeoutMs, deps.settings.attemptTimeoutMs),
        commands: [
          ...(usesWorkspace ? setup : []),
          { execId: 'main', role: 'main', argv: command.argv, cwd: command.cwd, env: command.env },
        ],
        needsWorkspace: usesWorkspace,
        bringsWorkHome: usesWorkspace,
        policy: { hosts: wanted.network.hosts, models: wanted.network.models },
        agent: request,
      }
    }
    case 'run':
      return {
        ...common,
        commands: [
          ...setup,
          {
            execId: 'main',
            role: 'main',
            argv: work.command,
            cwd: SANDBOX_LAYOUT.workspace,
            env: work.env,
          },
        ],
        needsWorkspace: hasRepository,
        bringsWorkHome: hasRepository,
        policy: { hosts: '*', models: [] },
        agent: null,
      }
    case 'verify':
      return {
        ...common,
        commands: [...setup, ...toCommands('check', work.commands)],
        needsWorkspace: true,
        bringsWorkHome: false,
        policy: { hosts: '*', models: [] },
        agent: null,
      }
  }
}

function toCommands(role: 'setup' | 'check', argvs: readonly (readonly string[])[]): JobCommand[] {
  return argvs.map((argv, index) => ({
    execId: `${role}-${index}`,
    role,
    argv,
    cwd: SANDBOX_LAYOUT.workspace,
    env: {},
  }))
}

async function toAgentRequest(
  context: AttemptContext,
  signal: AbortSignal,
): Promise<{ adapter: AgentAdapter; request: AgentRequest }> {
  const { deps, state, step, instance, attempt, work } = context
  if (work.kind !== 'agent') throw new Error(`step ${step.id} is no agent step`)
  const { ticket, run } = state
  const pins = getPins(state)
  const found = await deps.agents.find(work.agent)
  if (found === undefined) {
    throw new AttemptFailure(
      'agent_unknown',
      `there is no agent ${JSON.stringify(work.agent)}: list them with "swarm agent list"`,
    )
  }
  if (found.package.workspace === 'required' && pins.startCommit === null) {
    throw new AttemptFailure(
      'repository_missing',
      `agent ${found.package.name} works on a repository and project ${state.project.key} has none: set one with "swarm project edit ${state.project.key} --repository …"`,
    )
  }
  const { memoryMib } = deps.settings.limits
  if (found.package.memoryMib > memoryMib) {
    throw new AttemptFailure(
      'sandbox_unavailable',
      `agent ${found.package.name} needs ${found.package.memoryMib} MiB and a sandbox gets ${memoryMib}: raise sandbox.memory-mib in the configuration`,
    )
  }
  const inputs = await found.package.checkInputs(work.with)
  if (!inputs.ok) {
    throw new AttemptFailure(
      'input_invalid',
      `the inputs of agent ${found.package.name} are wrong: ${inputs.problems.join('; ')}`,
    )
  }
  const request: AgentRequest = {
    package: found.package,
    inputs: inputs.value,
    ticket: {
      key: ticket.key,
      title: ticket.title,
      body: ticket.body,
      type: ticket.type,
      labels: ticket.labels,
    },
    run: { id: run.id, step: instance.key, attempt: attempt.number },
    prompt: await renderAgentPrompt(context, work.prompt, signal),
    feedback: await findFeedback(context),
    hasWorkspace: pins.startCommit !== null && found.package.workspace !== 'none',
    checks: pins.checks.map((command, index) => ({
      name: `check-${index + 1}`,
      command,
      timeoutMs: deps.settings.attemptTimeoutMs,
    })),
    layout: SANDBOX_LAYOUT,
  }
  return { adapter: found.adapter, request }
}

/** What went wrong in the attempt before, or else in the run before. */
async function findFeedback({ deps, instance, attempt, state }: AttemptContext): Promise<string | null> {
  if (attempt.number > 1) {
    const attempts = await deps.store.read.listAttempts({ stepInstanceId: instance.id })
    const before = attempts.find((candidate) => candidate.number === attempt.number - 1)
    if (before?.detail) return `The attempt before this one ended with ${before.reason}: ${before.detail}`
  }
  return getPins(state).feedback
}
