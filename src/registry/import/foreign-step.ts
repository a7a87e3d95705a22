import { isDeepStrictEqual } from 'node:util'
import type { Findings } from './findings.ts'
import { quote } from './foreign-name.ts'

/** What other registries call what; compared without case, `_` and `-`. */
export const KEYS = {
  id: ['id', 'stepid', 'key'],
  name: ['name', 'title', 'step'],
  description: ['description'],
  kind: ['kind', 'type', 'steptype'],
  needs: ['needs', 'dependson', 'dependencies', 'after', 'requires'],
  if: ['if', 'condition', 'when'],
  forEach: ['foreach', 'loop'],
  onFailure: ['onfailure', 'onerror'],
  continueOnError: ['continueonerror', 'continueonfailure', 'allowfailure'],
  timeout: ['timeout'],
  timeoutMs: ['timeoutms', 'timeoutmillis', 'timeoutmilliseconds'],
  timeoutSeconds: ['timeoutseconds', 'timeoutsecs', 'timeoutsec', 'timeouts'],
  timeoutMinutes: ['timeoutminutes', 'timeoutmins', 'timeoutmin'],
  retry: ['retry', 'retries', 'maxretries', 'retrycount', 'retrypolicy'],
  attempts: ['attempts', 'maxattempts'],
  retryDelay: ['retrydelay', 'backoff'],
  retryDelayMs: ['retrydelayms', 'backoffms'],
  retryDelaySeconds: ['retrydelayseconds', 'backoffseconds'],
  outputs: ['outputs'],
  agent: ['agent', 'agentname', 'agentid'],
  agentVersion: ['agentversion'],
  with: ['with', 'params', 'parameters', 'inputs', 'input', 'args', 'arguments'],
  prompt: ['prompt', 'message', 'question'],
  command: ['command', 'cmd', 'run', 'script'],
  env: ['env', 'environment'],
  url: ['url'],
  method: ['method'],
  headers: ['headers'],
  body: ['body', 'payload', 'data'],
  workflow: ['workflow', 'workflowname', 'subworkflow'],
  duration: ['duration', 'for', 'delay', 'wait'],
  durationMs: ['durationms', 'delayms'],
  durationSeconds: ['durationseconds', 'delayseconds', 'seconds'],
  signal: ['signal', 'event'],
  base: ['base', 'targetbranch'],
} as const
export type StepKey = keyof typeof KEYS

/** A step's keys by our names of them; notes which were asked for, so that the rest can be reported. */
export class ForeignStep {
  readonly #entries = new Map<string, readonly (readonly [string, unknown])[]>()
  readonly #used = new Set<string>()
  readonly #findings: Findings

  constructor(step: Readonly<Record<string, unknown>>, findings: Findings) {
    this.#findings = findings
    // `null` says nothing, as if the key were not there.
    const said = Object.entries(step).filter(([, value]) => value !== null)
    for (const [name, entries] of Map.groupBy(said, ([key]) => simplifyKey(key)))
      this.#entries.set(name, entries)
  }

  has(key: StepKey): boolean {
    return KEYS[key].some((name) => this.#entries.has(name))
  }

  /** The value of the key; two spellings of it with different values are a problem. */
  take(key: StepKey): unknown {
    const found = KEYS[key].flatMap((name) => {
      this.#used.add(name)
      return this.#entries.get(name) ?? []
    })
    const [first, ...others] = found
    const other = others.find(([, value]) => !isDeepStrictEqual(value, first?.[1]))
    if (first !== undefined && other !== undefined) {
      this.#findings.problems.push(
        `${quote(first[0])} and ${quote(other[0])} say different things: keep one of them`,
      )
    }
    return first?.[1]
  }

  /** The keys that nobody took, as they are written. */
  listRest(): readonly string[] {
    return [...this.#entries].flatMap(([name, entries]) =>
      this.#used.has(name) ? [] : entries.map(([key]) => key),
    )
  }
}

/** `dependson` of `depends_on`, `dependsOn` and `Depends-On`. */
export function simplifyKey(key: string): string {
  return key.replaceAll(/[_-]/g, '').toLowerCase()
}
