import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { SANDBOX_LAYOUT } from '../agent/contract.ts'
import { packFiles } from '../agent/pack-files.ts'
import { type SandboxId, toId } from '../domain/id.ts'
import type { Door } from '../gateway/contract.ts'
import type { Sandbox } from '../sandbox/contract.ts'
import { type AttemptContext, type AttemptHandle, parseHandle, toHandleJson } from './attempt-context.ts'
import { doorDirectory, openAttemptDoor, removeDoorDirectory, toExpiry } from './attempt-door.ts'
import { AttemptFailure } from './attempt-failure.ts'
import { endSandbox, removeEarlierSandboxes, removeSandbox } from './end-sandbox.ts'
import type { LiveSandboxes } from './live-sandboxes.ts'
import { packFile } from './pack-file.ts'
import { findStopMode } from './run-stop.ts'
import type { SandboxJob } from './sandbox-job.ts'
import { withTransferDirectory } from './transfer-directory.ts'
import { untilRecorded } from './until-recorded.ts'
import { toHostname } from './warm-sandboxes.ts'
import { runWorkspaceVerb } from './workspace-verb.ts'

/** A sandbox that is ready, or was found again, with its way out and the notes about it. */
export type LiveAttempt = {
  readonly sandbox: Sandbox
  readonly door: Door
  readonly handle: AttemptHandle
}

/**
 * Makes the sandbox of an attempt ready, or finds it again. Every act may be repeated: what a process that died
 * in the middle had done is found or done anew, and nothing of the step itself has run before this returns.
 * The caller closes the door, stops or detaches the sandbox, and takes it out of `sandboxes`.
 * @param sandboxes the sandbox is in it from its first moment, so that its dead-man deadline moves during the launch
 */
export async function launchAttempt(
  context: AttemptContext,
  job: SandboxJob,
  live: LiveSandboxes,
  signal: AbortSignal,
): Promise<LiveAttempt> {
  const { attempt, state } = context
  const known = parseHandle(attempt.handle)
  const found = known && (await adoptSandbox(context, job, known, live, signal))
  if (attempt.phase !== 'launching') {
    if (found !== undefined) return found
    throw new AttemptFailure('sandbox_lost', 'the sandbox was gone when the coordinator came back to it', {
      status: 'lost',
    })
  }
  const launched = found ?? (await spawnSandbox(context, job, live, signal))
  live.add(state.run.id, launched.sandbox)
  try {
    await putContext(context, job, launched.sandbox, signal)
    if (job.needsWorkspace) await openWorkspace(context, launched.sandbox, attempt.baseCommit, signal)
    await untilRecorded(
      () =>
        context.deps.store.write.advanceAttempt({
          ...context.proof,
          attemptId: attempt.id,
          phase: 'awaiting',
          handle: toHandleJson(launched.handle),
          sandboxId: launched.sandbox.id,
        }),
      { signal, logger: context.logger },
    )
  } catch (error) {
    live.remove(state.run.id, launched.sandbox)
    await leaveSandbox(context, launched, signal, { graceMs: 0 })
    throw error
  }
  return launched
}

/** A sandbox is not left behind, unless this process ends and the next one is to find it. */
export async function leaveSandbox(
  context: AttemptContext,
  { sandbox, door }: { sandbox: Sandbox; door: Door },
  signal: AbortSignal,
  { graceMs }: { graceMs: number },
): Promise<void> {
  if (findStopMode(signal) !== 'detach') return await endSandbox(context, { sandbox, door }, { graceMs })
  await door.close()
  await sandbox[Symbol.asyncDispose]()
}

/** What does not answer is removed, so that it is known to be gone before another one is made. */
async function adoptSandbox(
  context: AttemptContext,
  job: SandboxJob,
  handle: AttemptHandle,
  live: LiveSandboxes,
  signal: AbortSignal,
): Promise<LiveAttempt | undefined> {
  const { deps, logger, state } = context
  const sandbox = await deps.sandboxes.driver.adopt(handle.sandboxId, signal)
  if (sandbox === undefined) {
    await removeSandbox(context, handle.sandboxId)
    return undefined
  }
  let door: Door | undefined
  try {
    logger.info({ sandboxId: handle.sandboxId, phase: context.attempt.phase }, 'sandbox adopted')
    await sandbox.renewDeadman(live.deadmanLeftMs(state.run.id, deps.settings.deadmanMs))
    door = await openAttemptDoor(context, job, handle)
    return { sandbox, door, handle }
  } catch (error) {
    await sandbox[Symbol.asyncDispose]()
    throw error
  }
}

/** The record is written before the sandbox exists, so that whatever is left of a crash is found by its name. */
async function spawnSandbox(
  context: AttemptContext,
  job: SandboxJob,
  live: LiveSandboxes,
  signal: AbortSignal,
): Promise<LiveAttempt> {
  const { deps, proof, attempt, instance, state } = context
  const { driver } = deps.sandboxes
  const template = await deps.sandboxes.template(signal)
  const sandboxId =
    deps.sandboxes.warm?.take(job.limits) ?? toId('sandbox', deps.store.now(), deps.random.bytes(16))
  const runToken = `swm_${randomBytes(32).toString('base64url')}`
  const runTokenSha256 = createHash('sha256').update(runToken).digest('hex')
  const handle: AttemptHandle = {
    sandboxId,
    driver: driver.name,
    runTokenSha256,
    ended: [],
    stdoutBase: 0,
    stderrBase: 0,
    failure: null,
    findings: [],
  }
  await removeEarlierSandboxes(context)
  const { write } = deps.store
  const record = <T>(work: () => Promise<T>) => untilRecorded(work, { signal, logger: context.logger })
  await record(() =>
    write.createSandboxEntry({
      ...proof,
      id: sandboxId,
      hostId: deps.settings.hostId,
      driver: driver.name,
      stepInstanceId: instance.id,
      attemptId: attempt.id,
    }),
  )
  await record(() =>
    write.createToken({
      name: `run ${state.run.id} ${instance.key} attempt ${attempt.number}`,
      scopes: ['run'],
      expiresAt: toExpiry(context, job),
      secretHash: runTokenSha256,
      runId: state.run.id,
      actor: 'coordinator',
    }),
  )
  const note = { ...proof, attemptId: attempt.id, handle: toHandleJson(handle), sandboxId }
  await record(() => write.advanceAttempt({ ...note, phase: 'launching' }))
  const door = await openAttemptDoor(context, job, handle)
  let sandbox: Sandbox | undefined
  try {
    if (live.isOverdue(state.run.id)) throw overdue()
    sandbox = await driver.spawn(
      {
        sandboxId,
        template,
        limits: job.limits,
        env: toSandboxEnv(context, runToken),
        gatewayDirectory: doorDirectory(deps.settings.stateDir, sandboxId),
        hostname: toHostname(sandboxId),
        deadmanMs: live.deadmanLeftMs(state.run.id, deps.settings.deadmanMs),
        labels: {
          ticket: state.ticket.key,
          run: state.run.id,
          step: instance.key,
          attempt: String(attempt.number),
        },
      },
      signal,
    )
    await Promise.all([
      // The start took its time: leases were renewed meanwhile.
      sandbox.renewDeadman(live.deadmanLeftMs(state.run.id, deps.settings.deadmanMs)),
      deps.store.write.markSandbox({ sandboxId, status: 'ready' }),
    ])
    return { sandbox, door, handle }
  } catch (error) {
    if (sandbox !== undefined) await leaveSandbox(context, { sandbox, door }, signal, { graceMs: 0 })
    else await forgetSandbox(context, sandboxId, door)
    throw error
  }
}

function overdue(): AttemptFailure {
  return new AttemptFailure('sandbox_lost', 'the lease was not renewed in time to start a sandbox under it', {
    status: 'lost',
  })
}

/** After a spawn that failed: the driver has left nothing behind. */
async function forgetSandbox(
  { deps, logger }: AttemptContext,
  sandboxId: SandboxId,
  door: Door,
): Promise<void> {
  try {
    await door.close()
    await removeDoorDirectory(deps.settings.stateDir, sandboxId)
    await deps.store.write.markSandbox({ sandboxId, status: 'gone', reason: 'sandbox_failed' })
  } catch (error) {
    logger.warn({ err: error, sandboxId }, 'failed spawn not cleaned up')
  }
}

const GATEWAY_URL = 'http://127.0.0.1:3128'

function toSandboxEnv(
  { state, instance, attempt }: AttemptContext,
  runToken: string,
): Record<string, string> {
  const proxy = GATEWAY_URL.replace('http://', `http://swarm:${runToken}@`)
  return {
    SWARM_RUN_TOKEN: runToken,
    SWARM_GATEWAY_URL: GATEWAY_URL,
    SWARM_TICKET: state.ticket.key,
    SWARM_RUN: state.run.id,
    SWARM_STEP: instance.key,
    SWARM_ATTEMPT: String(attempt.number),
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    http_proxy: proxy,
    https_proxy: proxy,
    CI: 'true',
  }
}

/** Where everything of ours lies in a sandbox; nothing is ever put outside it but the workspace */
const SWARM_ROOT = '/swarm'

/** Ticket, prompt, feedback and the agent's own files. */
async function putContext(
  context: AttemptContext,
  job: SandboxJob,
  sandbox: Sandbox,
  signal: AbortSignal,
): Promise<void> {
  if (job.agent === null) {
    const { key, title, body, type, labels } = context.state.ticket
    await sandbox.putFile(SANDBOX_LAYOUT.ticket, JSON.stringify({ key, title, body, type, labels }))
    return
  }
  const { files } = await job.agent.adapter.prepare(job.agent.request, signal)
  await sandbox.put(SWARM_ROOT, packFiles(files, SWARM_ROOT), signal)
}

async function openWorkspace(
  context: AttemptContext,
  sandbox: Sandbox,
  baseCommit: string | null,
  signal: AbortSignal,
): Promise<void> {
  const { deps, state } = context
  const repository = deps.forges.find(state.project)
  if (baseCommit === null || repository === undefined) {
    throw new AttemptFailure(
      'repository_missing',
      `project ${state.project.key} has no repository: set one with "swarm project edit ${state.project.key} --repository …"`,
    )
  }
  const mirror = await repository.forge.openMirror(repository.project, signal)
  await withTransferDirectory(deps.settings.stateDir, sandbox.id, async (directory) => {
    const path = join(directory, 'repo.bundle')
    await mirror.exportBundle({ commit: baseCommit, path }, signal)
    await sandbox.put(SANDBOX_LAYOUT.attempt, await packFile(path, 'repo.bundle'), signal)
  })
  const opened = await runWorkspaceVerb(sandbox, {
    execId: 'workspace-open',
    verb: 'open',
    args: {
      bundle: `${SANDBOX_LAYOUT.attempt}/repo.bundle`,
      workspace: SANDBOX_LAYOUT.workspace,
      commit: baseCommit,
      branch: state.run.pins?.branch ?? 'swarm/work',
    },
    timeoutMs: OPEN_TIMEOUT_MS,
    signal,
  })
  if (opened.code !== 0) {
    throw new AttemptFailure('sandbox_failed', `the workspace could not be made: ${opened.message}`)
  }
}

const OPEN_TIMEOUT_MS = 10 * 60_000
