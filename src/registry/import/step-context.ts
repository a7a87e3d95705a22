import type { Findings } from './findings.ts'
import type { StepNames } from './to-reference.ts'

export type DurationUnit = 'ms' | 's' | 'm'

/** What a step of another registry is converted with. */
export type StepContext = {
  readonly names: StepNames
  readonly findings: Findings
  /** What a number without a unit counts; absent: such a number is refused */
  readonly durationUnit: DurationUnit | undefined
  /** Our name, with its version where one is said, of an agent or a workflow that a step names */
  readonly toOurName: (
    kind: 'agent' | 'workflow',
    name: string,
    version: string | undefined,
  ) => string | undefined
}

/** The key with its value, or nothing when there is none. */
export function withKey(key: string, value: unknown): Record<string, unknown> {
  return value === undefined ? {} : { [key]: value }
}
