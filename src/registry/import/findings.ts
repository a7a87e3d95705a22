/** What a conversion came across, in sentences for a person. */
export type Findings = {
  /** What is otherwise than the file says */
  readonly changes: string[]
  /** What was filled in or looked up */
  readonly notes: string[]
  /** Why it cannot be taken, and what to do */
  readonly problems: string[]
}

export function createFindings(): Findings {
  return { changes: [], notes: [], problems: [] }
}

/** Foreign JSON nested deeper is refused, not walked through */
export const JSON_DEPTH_MAX = 24

export type ParsedJson =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: string }

export function parseForeignJson(text: string, what: string): ParsedJson {
  try {
    const value: unknown = JSON.parse(text)
    if (isTooDeep(value))
      return { ok: false, problem: `its ${what} are nested deeper than ${JSON_DEPTH_MAX} levels` }
    return { ok: true, value }
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 200) : 'it cannot be parsed'
    return { ok: false, problem: `its ${what} are not valid JSON: ${why}` }
  }
}

function isTooDeep(root: unknown): boolean {
  let level: unknown[] = [root]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > JSON_DEPTH_MAX) return true
    level = level.flatMap((value) =>
      typeof value === 'object' && value !== null ? Object.values(value) : [],
    )
  }
  return false
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
