import type { SandboxId } from '../domain/id.ts'

/** Every sandbox except these, also those that nobody has heard of yet: what a driver's `gc` is to keep. */
export function keepAllBut(except: readonly SandboxId[]): ReadonlySet<SandboxId> {
  return new AllBut(except)
}

class AllBut extends Set<SandboxId> {
  readonly #except: ReadonlySet<SandboxId>

  constructor(except: readonly SandboxId[]) {
    super()
    this.#except = new Set(except)
  }

  override has(sandboxId: SandboxId): boolean {
    return !this.#except.has(sandboxId)
  }
}
