import type { SandboxId } from '../domain/id.ts'
import type { Door } from '../gateway/contract.ts'
import { type Sandbox, SandboxError } from '../sandbox/contract.ts'
import type { AttemptContext } from './attempt-context.ts'
import { removeDoorDirectory } from './attempt-door.ts'
import { keepAllBut } from './keep-all-but.ts'

type About = Pick<AttemptContext, 'deps' | 'logger' | 'state' | 'instance'>

/**
 * Ends a sandbox that this process drives, with its way out. Trouble in doing so is not the attempt's: it is logged,
 * the record stays, and the next spawn, the sweep or the dead-man deadline ends the sandbox.
 */
export async function endSandbox(
  { deps, logger }: About,
  { sandbox, door }: { sandbox: Sandbox; door: Door },
  { graceMs }: { graceMs: number },
): Promise<void> {
  try {
    await door.close()
    await sandbox.stop({ graceMs })
    await removeDoorDirectory(deps.settings.stateDir, sandbox.id)
    await deps.store.write.markSandbox({ sandboxId: sandbox.id, status: 'gone' })
  } catch (error) {
    logger.warn({ err: error, sandboxId: sandbox.id }, 'sandbox not ended cleanly')
  }
}

/**
 * Removes every sandbox that the store believes alive for this instance, so that there is never a second one. A
 * process that died between two lines leaves such a record, with or without a sandbox behind it.
 * @throws SandboxError `sandbox_lost` when one is alive and will not go; then nothing may be spawned
 */
export async function removeEarlierSandboxes(context: About): Promise<void> {
  const { deps, state, instance } = context
  const live = await deps.store.read.listSandboxEntries({ runId: state.run.id, isLive: true })
  for (const entry of live) {
    if (entry.stepInstanceId === instance.id) await removeSandbox(context, entry.id)
  }
}

/** Removes what there is of a sandbox that this process has no connection to; `lost` is what the store says of it then. */
export async function removeSandbox({ deps, logger }: About, sandboxId: SandboxId): Promise<void> {
  const { driver } = deps.sandboxes
  const report = await driver.gc(keepAllBut([sandboxId]))
  const left = (await driver.list()).find((record) => record.sandboxId === sandboxId)
  if (left?.isAlive === true) {
    throw new SandboxError(
      'sandbox_lost',
      `sandbox ${sandboxId} cannot be ended: ${report.problems.join('; ')}`,
    )
  }
  logger.info({ sandboxId }, 'sandbox of an earlier process removed')
  await removeDoorDirectory(deps.settings.stateDir, sandboxId)
  await deps.store.write.markSandbox({ sandboxId, status: 'lost', reason: 'sandbox_lost' })
}
