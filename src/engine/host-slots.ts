import type { RunId } from '../domain/id.ts'

/**
 * Room on this host for step instances under way. Every held run keeps one slot, so that it can always go on;
 * a run may use more while others leave them free. Counted in memory: the limit is this process's own.
 */
export class HostSlots {
  readonly #total: number
  readonly #underWay = new Map<RunId, number>()

  constructor(total: number) {
    this.#total = total
  }

  get total(): number {
    return this.#total
  }

  /** Slots that no run holds or uses. */
  get freeCount(): number {
    let used = 0
    for (const count of this.#underWay.values()) used += Math.max(1, count)
    return Math.max(0, this.#total - used)
  }

  hold(runId: RunId): void {
    if (!this.#underWay.has(runId)) this.#underWay.set(runId, 0)
  }

  release(runId: RunId): void {
    this.#underWay.delete(runId)
  }

  /** Instances that the run may start now. */
  availableFor(runId: RunId): number {
    const own = this.#underWay.get(runId) ?? 0
    return this.freeCount + (own === 0 ? 1 : 0)
  }

  start(runId: RunId): void {
    this.#underWay.set(runId, (this.#underWay.get(runId) ?? 0) + 1)
  }

  end(runId: RunId): void {
    const count = this.#underWay.get(runId)
    if (count !== undefined) this.#underWay.set(runId, Math.max(0, count - 1))
  }
}
