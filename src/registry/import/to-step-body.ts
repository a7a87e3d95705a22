import { isObject } from './findings.ts'
import { quote } from './foreign-name.ts'
import type { ForeignStep } from './foreign-step.ts'
import { type StepContext, withKey } from './step-context.ts'
import { toDuration } from './to-duration.ts'
import { toOurText, toOurValue } from './to-reference.ts'

const KINDS = {
  agent: /^(agent|agenttask|llm|ai)$/,
  run: /^(run|command|shell|script|exec|bash)$/,
  approve: /^(approve|approval|manual|manualapproval|gate|human|humanapproval)$/,
  http: /^(http|https|webhook|request|httprequest)$/,
  workflow: /^(workflow|subworkflow|childworkflow)$/,
  wait: /^(wait|delay|sleep|timer)$/,
  'pull-request': /^(pullrequest|pr|mergerequest)$/,
  verify: /^(verify|verification)$/,
} as const
type Kind = keyof typeof KINDS

/**
 * What a step's kind alone has, with the kind.
 * @param name what to ask with, where an approval has no question
 */
export function toStepBody(step: ForeignStep, name: string, context: StepContext): Record<string, unknown> {
  const kind = toKind(step, context)
  switch (kind) {
    case 'agent':
      return {
        kind,
        ...toAgent(step, context),
        ...withKey('with', toWith(step, context)),
        ...toPrompt(step, context),
      }
    case 'run':
      return { kind, ...toCommand(step, context), ...withKey('env', toRecord(step, 'env', context)) }
    case 'approve':
      return { kind, prompt: toText(step, 'prompt', context) ?? name }
    case 'http':
      return {
        kind,
        ...withKey('method', toMethod(step, context)),
        url: toText(step, 'url', context),
        ...withKey('headers', toRecord(step, 'headers', context)),
        ...withKey('body', toOurValue(step.take('body'), context.names, context.findings)),
      }
    case 'workflow':
      return { kind, ...toChild(step, context), ...withKey('with', toWith(step, context)) }
    case 'wait':
      return { kind, ...toWait(step, context) }
    case 'pull-request':
      return {
        kind,
        ...withKey('body', toText(step, 'body', context)),
        ...withKey('base', toText(step, 'base', context)),
      }
    case 'verify':
      return { kind }
    case undefined:
      return {}
    default:
      return kind satisfies never
  }
}

function toKind(step: ForeignStep, { findings }: StepContext): Kind | undefined {
  const said = step.take('kind')
  if (said === undefined) {
    const found = (['agent', 'workflow', 'command', 'url'] as const).filter((key) => step.has(key))
    const [only] = found
    if (only !== undefined && found.length === 1)
      return only === 'command' ? 'run' : only === 'url' ? 'http' : only
    findings.problems.push('it does not say what it is: give it a type, such as agent, command or approval')
    return undefined
  }
  const word = typeof said === 'string' ? said.replaceAll(/[_ -]/g, '').toLowerCase() : ''
  // "task" says no more than "step" does.
  if ((word === 'task' || word === 'step') && step.has('agent')) return 'agent'
  const kind = (Object.keys(KINDS) as Kind[]).find((each) => KINDS[each].test(word))
  if (kind === undefined) {
    findings.problems.push(
      `its type ${quote(typeof said === 'string' ? said : (JSON.stringify(said) ?? ''))} is unknown: Swarm has ${Object.keys(KINDS).join(', ')}; an agent is named under "agent", steps side by side are steps that depend on the same one`,
    )
  }
  return kind
}

function toAgent(step: ForeignStep, context: StepContext): Record<string, unknown> {
  return toNamed(step, 'agent', context)
}

function toChild(step: ForeignStep, context: StepContext): Record<string, unknown> {
  return toNamed(step, 'workflow', context)
}

/** `name`, `name@1.2.0` or `{ name, version }`. */
function toNamed(
  step: ForeignStep,
  kind: 'agent' | 'workflow',
  { findings, toOurName }: StepContext,
): Record<string, unknown> {
  const said = step.take(kind)
  const apart = kind === 'agent' ? step.take('agentVersion') : undefined
  const { name, version } = isObject(said) ? said : { name: said, version: undefined }
  if (typeof name !== 'string' || name === '') {
    findings.problems.push(`it does not name its ${kind}`)
    return {}
  }
  const at = name.lastIndexOf('@')
  const plain = at > 0 ? name.slice(0, at) : name
  const wanted = apart ?? version ?? (at > 0 ? name.slice(at + 1) : undefined)
  if (wanted !== undefined && typeof wanted !== 'string' && typeof wanted !== 'number') {
    findings.problems.push(`the version of its ${kind} is no text`)
    return {}
  }
  return withKey(kind, toOurName(kind, plain, wanted === undefined ? undefined : String(wanted)))
}

function toWith(step: ForeignStep, { names, findings }: StepContext): unknown {
  const given = step.take('with')
  if (given === undefined) return undefined
  if (isObject(given)) return Object.keys(given).length === 0 ? undefined : toOurValue(given, names, findings)
  findings.problems.push('what it is given is no object: write {"name": value}')
  return undefined
}

function toPrompt(step: ForeignStep, { names, findings }: StepContext): Record<string, unknown> {
  const prompt = step.take('prompt')
  if (prompt === undefined) return {}
  if (typeof prompt === 'string') return { prompt: toOurText(prompt, 'prompt', names, findings) }
  findings.problems.push('its prompt is no text')
  return {}
}

/** A line for a shell stays one only where nothing from outside can come into it. */
function toCommand(step: ForeignStep, { names, findings }: StepContext): Record<string, unknown> {
  const said = step.take('command')
  if (
    Array.isArray(said) &&
    said.length > 0 &&
    said.every((each) => ['string', 'number'].includes(typeof each))
  ) {
    return { command: said.map((each) => toOurValue(String(each), names, findings)) }
  }
  if (typeof said !== 'string' || said.trim() === '') {
    findings.problems.push('it has no command: write a list of arguments, ["npm", "test"]')
    return {}
  }
  if (/\{\{|\$\{\{/.test(said)) {
    findings.problems.push(
      'its command is a line for a shell with a reference in it, and what the reference stands for could be run: write a list of arguments, ["npm", "test"]',
    )
    return {}
  }
  findings.changes.push('command: a line for a shell, now run with sh -c')
  return { command: ['sh', '-c', said.replaceAll('${', '$$${')] }
}

function toText(
  step: ForeignStep,
  key: 'prompt' | 'url' | 'body' | 'base',
  context: StepContext,
): string | undefined {
  const said = step.take(key)
  if (said === undefined) return undefined
  if (typeof said === 'string') return toOurText(said, 'value', context.names, context.findings)
  context.findings.problems.push(`its ${key} is no text`)
  return undefined
}

function toMethod(step: ForeignStep, { findings }: StepContext): string | undefined {
  const method = step.take('method')
  if (method === undefined || typeof method === 'string') return method?.toUpperCase()
  findings.problems.push('its method is no text')
  return undefined
}

function toRecord(step: ForeignStep, key: 'env' | 'headers', { names, findings }: StepContext): unknown {
  const said = step.take(key)
  if (said === undefined) return undefined
  if (
    isObject(said) &&
    Object.values(said).every((value) => ['string', 'number', 'boolean'].includes(typeof value))
  ) {
    const texts = Object.entries(said).map(([name, value]) => [name, String(value)])
    return toOurValue(Object.fromEntries(texts), names, findings)
  }
  findings.problems.push(`its ${key} are not names with texts`)
  return undefined
}

function toWait(step: ForeignStep, context: StepContext): Record<string, unknown> {
  const signal = step.take('signal')
  if (typeof signal === 'string')
    return { signal: toOurText(signal, 'value', context.names, context.findings) }
  const time = toDuration(step, ['duration', 'durationMs', 'durationSeconds'], context)
  if (time === undefined)
    context.findings.problems.push('it waits for nothing: give it a duration or a signal')
  return withKey('for', time)
}
