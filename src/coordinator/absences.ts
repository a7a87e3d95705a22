/** Looks in a row that must miss a ticket, and the time that they must span at least, `ms` */
const MISS_COUNT = 3
const MISS_SPAN_MS = 30_000
/** So many may be missing at once whatever their share is */
const MASS_COUNT = 3

/**
 * Remembers which tickets were missing. One that is not there once may be there again at the next look: a page can
 * be incomplete, a file be replaced for a moment. And when most of them are missing at once, it is not the tickets
 * that are gone.
 */
export class Absences {
  readonly #missing = new Map<string, { readonly since: number; readonly count: number }>()

  get isEmpty(): boolean {
    return this.#missing.size === 0
  }

  has(id: string): boolean {
    return this.#missing.has(id)
  }

  /**
   * @param absent what this look missed
   * @param openCount tickets that were looked for, and those that were found otherwise
   * @returns what may be believed to be gone, or `mass` when nothing may be concluded
   */
  note(absent: readonly string[], openCount: number, now: number): readonly string[] | 'mass' {
    if (absent.length > MASS_COUNT && absent.length > openCount / 2) {
      this.#missing.clear()
      return 'mass'
    }
    const before = new Map(this.#missing)
    this.#missing.clear()
    for (const id of absent) {
      const { since, count } = before.get(id) ?? { since: now, count: 0 }
      this.#missing.set(id, { since, count: count + 1 })
    }
    return absent.filter((id) => {
      const missing = this.#missing.get(id)
      return missing !== undefined && missing.count >= MISS_COUNT && now - missing.since >= MISS_SPAN_MS
    })
  }
}
