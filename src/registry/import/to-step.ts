import { VALUE_TYPES } from '../../workflow/workflow.ts'
import { type Findings, isObject } from './findings.ts'
import { quote } from './foreign-name.ts'
import { ForeignStep } from './foreign-step.ts'
import { type StepContext, withKey } from './step-context.ts'
import { toOurCondition } from './to-condition.ts'
import { toDuration } from './to-duration.ts'
import { findStep, toOurValue } from './to-reference.ts'
import { toRetry } from './to-retry.ts'
import { toStepBody } from './to-step-body.ts'

/** One step as the workflow's YAML has it. Problems are in the findings; then what is given back is incomplete. */
export function toStep(
  step: Readonly<Record<string, unknown>>,
  id: string,
  context: StepContext,
): Record<string, unknown> {
  const { findings, names } = context
  const foreign = new ForeignStep(step, findings)
  const isNamedById = foreign.has('id')
  foreign.take('id')
  const name = foreign.take('name')
  const description = foreign.take('description') ?? (isNamedById ? name : undefined)
  const common = {
    ...(typeof description === 'string' && description.trim() !== '' && { description }),
    ...withKey('needs', toNeeds(foreign.take('needs'), context)),
    ...withKey('if', toIf(foreign.take('if'), context)),
    ...withKey('for-each', toForEach(foreign.take('forEach'), context)),
    ...withKey('retry', toRetry(foreign, context)),
    ...withKey(
      'timeout',
      toDuration(foreign, ['timeout', 'timeoutMs', 'timeoutSeconds', 'timeoutMinutes'], context),
    ),
    ...withKey('on-failure', toOnFailure(foreign, findings)),
  }
  const body = toStepBody(foreign, typeof name === 'string' ? name : id, context)
  const outputs = toOutputs(foreign.take('outputs'), findings)
  const rest = foreign.listRest()
  if (rest.length > 0)
    findings.changes.push(`left out ${rest.slice(0, 20).map(quote).join(', ')}: there is nothing like it`)
  // Its own texts may say what it waits for, where its list of needs does not.
  names.used.delete(id)
  return { id, ...body, ...common, ...withKey('outputs', outputs) }
}

function toNeeds(value: unknown, { names, findings }: StepContext): readonly string[] | undefined {
  if (value === undefined) return undefined
  const said = Array.isArray(value) ? value : [value]
  const needs = said.flatMap((each: unknown) => {
    const need =
      typeof each === 'string' || typeof each === 'number' ? findStep(String(each), names) : undefined
    if (need === undefined) {
      findings.problems.push(`it depends on ${show(each)}, and there is no such step`)
    }
    return need ?? []
  })
  return needs.length === 0 ? undefined : [...new Set(needs)]
}

function show(value: unknown): string {
  return quote(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
}

const CONDITION_CHARS_MAX = 2_000

function toIf(value: unknown, { names, findings }: StepContext): string | undefined {
  if (value === undefined || value === true || value === '') return undefined
  if (typeof value === 'string' && value.length <= CONDITION_CHARS_MAX)
    return toOurCondition(value, names, findings)
  findings.problems.push(
    "its condition is no text that can be converted: write it as steps.test.status == 'succeeded'",
  )
  return undefined
}

function toForEach(value: unknown, { names, findings }: StepContext): unknown {
  if (value === undefined || typeof value === 'string' || Array.isArray(value)) {
    return toOurValue(value, names, findings)
  }
  findings.problems.push('what it is repeated for is neither a list nor a reference to one')
  return undefined
}

const ON_FAILURE = new Map([
  ['continue', 'continue'],
  ['ignore', 'continue'],
  ['skip', 'skip-dependents'],
  ['skip-dependents', 'skip-dependents'],
  ['fail', 'fail'],
  ['stop', 'fail'],
  ['abort', 'fail'],
])

function toOnFailure(step: ForeignStep, { problems }: Findings): string | undefined {
  const said = step.take('onFailure')
  const isForgiven = step.take('continueOnError') === true
  if (said === undefined) return isForgiven ? 'continue' : undefined
  const ours = typeof said === 'string' ? ON_FAILURE.get(said.toLowerCase().replaceAll('_', '-')) : undefined
  if (ours === undefined) problems.push('what it does after a failure is none of continue, skip and fail')
  return ours
}

function toOutputs(value: unknown, { changes }: Findings): Record<string, unknown> | undefined {
  if (value === undefined) return undefined
  const types: readonly unknown[] = VALUE_TYPES
  if (isObject(value) && Object.values(value).every((type) => types.includes(type))) return { ...value }
  changes.push('left out its outputs: Swarm takes what the agent gives back')
  return undefined
}
