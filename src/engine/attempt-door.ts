import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { SandboxId } from '../domain/id.ts'
import type { Door, GatewayEvent } from '../gateway/contract.ts'
import type { AttemptContext, AttemptHandle } from './attempt-context.ts'
import type { SandboxJob } from './sandbox-job.ts'

/** The attempt's way out; opened again, on the same folder, by the process that takes over. */
export async function openAttemptDoor(
  context: AttemptContext,
  job: SandboxJob,
  handle: AttemptHandle,
): Promise<Door> {
  const { deps, state } = context
  const directory = doorDirectory(deps.settings.stateDir, handle.sandboxId)
  // The sandbox's user must pass through; the socket itself demands the run token.
  await mkdir(directory, { recursive: true, mode: 0o755 })
  return await deps.gateway.openDoor({
    runId: state.run.id,
    ticketId: state.ticket.id,
    runTokenSha256: handle.runTokenSha256,
    expiresAt: toExpiry(context, job),
    directory,
    policy: job.policy,
    onEvent: (event) => record(context, event),
  })
}

/** Folder of the host that holds one sandbox's `gateway.sock`. */
export function doorDirectory(stateDir: string, sandboxId: SandboxId): string {
  return join(stateDir, 'doors', sandboxId)
}

/** After the sandbox has ended. May be repeated. */
export async function removeDoorDirectory(stateDir: string, sandboxId: SandboxId): Promise<void> {
  await rm(doorDirectory(stateDir, sandboxId), { recursive: true, force: true })
}

/** What processes before this one left; called before anything opens a door. */
export async function removeStaleDoors(stateDir: string, inUse: ReadonlySet<string>): Promise<void> {
  const names = await readdir(join(stateDir, 'doors')).catch(() => [])
  const stale = names.filter((name) => !inUse.has(name))
  await Promise.all(stale.map((name) => rm(join(stateDir, 'doors', name), { recursive: true, force: true })))
}

/** From when on the attempt's credential opens nothing, whatever becomes of the run. */
export function toExpiry({ attempt }: AttemptContext, { timeoutMs }: SandboxJob): number {
  return attempt.startedAt + timeoutMs + EXPIRY_MARGIN_MS
}

const EXPIRY_MARGIN_MS = 60_000

/** Not awaited by the gateway: a request through the door must not wait for our books. */
function record(context: AttemptContext, event: GatewayEvent): void {
  const { deps, state, instance, attempt, logger } = context
  const { runId: _, ticketId: __, at: ___, ...data } = event
  const writes: Promise<unknown>[] = [
    deps.store.write.recordEvents([
      {
        type: event.denied === null ? 'gateway.requested' : 'gateway.refused',
        actor: `run:${state.run.id}`,
        ticketId: state.ticket.id,
        runId: state.run.id,
        stepInstanceId: instance.id,
        attempt: attempt.number,
        data: { ...data, tokens: event.tokens === null ? null : { ...event.tokens } },
      },
    ]),
  ]
  if (event.tokens !== null) {
    writes.push(
      deps.store.write.addUsage({
        runId: state.run.id,
        stepInstanceId: instance.id,
        attempt: attempt.number,
        model: event.model,
        inputTokenCount: event.tokens.inputTokens,
        outputTokenCount: event.tokens.outputTokens,
        costMicroUsd: null,
        durationMs: event.durationMs,
      }),
    )
  }
  Promise.all(writes).catch((error) => logger.error({ err: error }, 'gateway event not recorded'))
}
