import type { SandboxId } from '../domain/id.ts'
import { SandboxError, type WarmRequest, type WarmSandbox } from './contract.ts'
import type { BegunGuest } from './guest-process.ts'

/** Guest programs that were started ahead and wait to be told whom they serve. */
export type WarmGuests = {
  has(id: SandboxId): boolean
  add(request: WarmRequest, begun: BegunGuest): WarmSandbox
  /** The one with this id, for good; removed instead when it is dead or was made for something else. */
  take(request: WarmRequest): Promise<BegunGuest | undefined>
}

/** @param remove ends one and removes all that belongs to it; says what it could not */
export function createWarmGuests(
  remove: (begun: BegunGuest) => Promise<{ readonly problems: readonly string[] }>,
): WarmGuests {
  const waiting = new Map<SandboxId, Entry>()

  /** Forgotten only once it is gone: `gc` would otherwise remove the same things at the same time. */
  async function discard(id: SandboxId, entry: Entry): Promise<void> {
    entry.removal ??= end(id, entry.begun).finally(() => waiting.delete(id))
    await entry.removal
  }

  async function end(id: SandboxId, begun: BegunGuest): Promise<void> {
    begun.stdin.destroy()
    const { problems } = await remove(begun)
    if (problems.length > 0) {
      throw new SandboxError('guest_failed', `sandbox ${id} was not removed: ${problems.join('; ')}`)
    }
  }

  return {
    has: (id) => waiting.get(id)?.begun.ended.aborted === false,
    add(request, begun) {
      const id = request.sandboxId
      const entry: Entry = { begun, shape: shapeOf(request) }
      waiting.set(id, entry)
      return {
        id,
        isWaiting: () => waiting.get(id) === entry && isUsable(entry),
        async discard() {
          if (waiting.get(id) === entry) await discard(id, entry)
        },
      }
    },
    async take(request) {
      const id = request.sandboxId
      const entry = waiting.get(id)
      if (entry === undefined) return undefined
      if (isUsable(entry) && entry.shape === shapeOf(request)) {
        waiting.delete(id)
        return entry.begun
      }
      await discard(id, entry)
      return undefined
    },
  }
}

type Entry = {
  readonly begun: BegunGuest
  readonly shape: string
  /** Under way: nobody may have it any more */
  removal?: Promise<void>
}

function isUsable({ begun, removal }: Entry): boolean {
  return removal === undefined && !begun.ended.aborted
}

/** Everything that cannot be changed any more once the process runs. */
function shapeOf({ template, limits, gatewayDirectory, readOnlyMounts, hostname }: WarmRequest): string {
  const { memoryMib, processCountMax, diskMib, cpuCount } = limits
  return JSON.stringify([
    [template.driver, template.key],
    [memoryMib, processCountMax, diskMib, cpuCount ?? null],
    gatewayDirectory ?? null,
    Object.entries(readOnlyMounts ?? {}).toSorted(),
    hostname,
  ])
}
