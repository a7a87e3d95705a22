import type { Json } from '../domain/json.ts'
import type { RetryPolicy } from '../domain/retry.ts'

/**
 * A workflow as data: parsed, checked and safe to keep as JSON. Texts may hold references (`${…}`), which
 * are resolved when a step starts; everything else is final.
 */
export type Workflow = {
  readonly name: string
  /** Text that names this version: `1`, `2.0.1`; never changed once registered */
  readonly version: string
  readonly description?: string
  readonly inputs: Readonly<Record<string, InputDeclaration>>
  /** When the ticket is done: pull request opened, merged, or (without a pull request) the run finished */
  readonly doneWhen: DoneWhen
  readonly limits: WorkflowLimits
  /** What the run gives back, with references; without it the outputs of the last steps by step id */
  readonly outputs?: Readonly<Record<string, Json>>
  readonly steps: readonly Step[]
}

export const DONE_WHEN = ['opened', 'merged', 'finished'] as const
export type DoneWhen = (typeof DONE_WHEN)[number]

export type WorkflowLimits = {
  /** Step instances of one run that may be running at once, of those that take a slot */
  readonly parallel?: number
}

export const VALUE_TYPES = ['string', 'number', 'boolean', 'array', 'object'] as const
export type ValueType = (typeof VALUE_TYPES)[number]

export type InputDeclaration = {
  readonly type: ValueType
  readonly required: boolean
  readonly default?: Json
  readonly description?: string
}

export const STEP_KINDS = [
  'agent',
  'run',
  'verify',
  'approve',
  'pull-request',
  'http',
  'workflow',
  'wait',
] as const
export type StepKind = (typeof STEP_KINDS)[number]

export const ON_FAILURE = ['fail', 'continue', 'skip-dependents'] as const
/**
 * `fail`: nothing new starts, the run fails once what runs has ended. `skip-dependents`: other branches go
 * on to their end, then the run fails. `continue`: dependents go on and the failure is forgiven.
 */
export type OnFailure = (typeof ON_FAILURE)[number]

export type StepCommon = {
  readonly id: string
  readonly description?: string
  readonly needs: readonly string[]
  /** A condition (condition.ts); without it the step runs when its needs went well */
  readonly if?: string
  /** Complete policy; absent: the engine's default */
  readonly retry?: RetryPolicy
  /** Longest time of one attempt, `ms` */
  readonly timeoutMs?: number
  /** A list, or a reference to one: one instance per element */
  readonly forEach?: string | readonly Json[]
  /** Instances of this step running or waiting at once; absent: all */
  readonly maxParallel?: number
  readonly onFailure: OnFailure
  /** Outputs that the author promises, for checking references to them */
  readonly outputs?: Readonly<Record<string, ValueType>>
}

export type AgentStep = StepCommon & {
  readonly kind: 'agent'
  /** Name of an agent, or a reference to one */
  readonly agent: string
  readonly with: Readonly<Record<string, Json>>
  readonly prompt?: PromptSource
}

/** A Liquid template: in the workflow itself, or a file of the repository's `.swarm/prompts/` */
export type PromptSource = { readonly template: string } | { readonly file: string }

export type RunStep = StepCommon & {
  readonly kind: 'run'
  /** Argument array, or a reference to one; never a shell line */
  readonly command: string | readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export type VerifyStep = StepCommon & {
  readonly kind: 'verify'
  /** Argument arrays, or a reference to them; the default is `${project.checks}` */
  readonly commands: string | readonly (readonly string[])[]
}

export type ApproveStep = StepCommon & {
  readonly kind: 'approve'
  /** What the person is asked */
  readonly prompt: string
  /** Time the person has, `ms`; then the step fails with `wait_expired` */
  readonly deadlineMs?: number
}

export type PullRequestStep = StepCommon & {
  readonly kind: 'pull-request'
  /** Absent: the ticket's title */
  readonly title?: string
  readonly body?: string
  /** Branch to merge into; absent: the project's default branch */
  readonly base?: string
}

export const HTTP_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
export type HttpMethod = (typeof HTTP_METHODS)[number]

export type HttpStep = StepCommon & {
  readonly kind: 'http'
  readonly method: HttpMethod
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Json
}

export type WorkflowStep = StepCommon & {
  readonly kind: 'workflow'
  /** Name of the workflow that runs as a child */
  readonly workflow: string
  /** The child's inputs */
  readonly with: Readonly<Record<string, Json>>
}

export type WaitStep = StepCommon & {
  readonly kind: 'wait'
  readonly until: { readonly for: string } | { readonly signal: string }
}

export type Step =
  | AgentStep
  | RunStep
  | VerifyStep
  | ApproveStep
  | PullRequestStep
  | HttpStep
  | WorkflowStep
  | WaitStep

/** Kinds that take no slot: nothing of theirs runs in a sandbox. */
const SLOTLESS_KINDS: readonly StepKind[] = ['approve', 'pull-request', 'http', 'workflow', 'wait']

/** Whether an instance of this step takes one of the slots while it is running; a waiting one never does. */
export function takesSlot(step: Step): boolean {
  return !SLOTLESS_KINDS.includes(step.kind)
}
