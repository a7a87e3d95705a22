import type { Json } from '../domain/json.ts'
import { suggest } from '../domain/nearest-word.ts'
import { toPlainName } from './catalogue.ts'
import { type CheckContext, toShapeOf, type ValuePath } from './check-context.ts'
import { dropAbsent } from './drop-absent.ts'
import { isList } from './expression.ts'
import { mayHoldReference, parseTextTemplate, toWholeReference } from './reference.ts'
import { ANY, canBe, canBeText, type Shape, TEXT, toShape, toShapeOfSchema } from './value-type.ts'
import type { Step } from './workflow.ts'

type StepContext = CheckContext & { readonly step: Step }

const LIST: Shape = { kind: 'array', element: ANY }

/** A value whose references must resolve and whose type must fit. */
export function checkValue(value: Json, path: ValuePath, context: CheckContext, wanted: Shape = ANY): void {
  const shape = toShapeOf(value, context, path)
  if (!canBe(shape, wanted)) {
    context.report(path, undefined, `this must be ${name(wanted)}, it is ${name(shape)}`)
    return
  }
  if (wanted.kind === 'object' && typeof value === 'object' && value !== null && !isList(value)) {
    for (const [key, field] of Object.entries(wanted.fields)) {
      const given = Object.hasOwn(value, key) ? value[key] : undefined
      if (given !== undefined)
        checkValue(given, [...path, key], { ...context, report: onlyTypes(context) }, field)
    }
  }
}

/** The references inside were reported by the walk over the whole value. */
function onlyTypes({ report }: CheckContext): CheckContext['report'] {
  return (path, index, message, hint) => {
    if (index === undefined) report(path, index, message, hint)
  }
}

function checkText(value: string, path: ValuePath, context: CheckContext): void {
  const shape = toShapeOf(value, context, path)
  if (!canBeText(shape)) context.report(path, undefined, `this must be text, it is ${name(shape)}`)
}

/** `for-each` is a list; its elements may hold references, but not to `item`. */
export function checkForEach({ item: _none, ...context }: StepContext): void {
  const { forEach } = context.step
  if (forEach === undefined) return
  const path = [...context.path, 'for-each']
  if (typeof forEach === 'string' && !isWholeReference(forEach)) {
    const hint = 'write a list, or nothing but a reference: ${inputs.files}'
    context.report(path, undefined, 'for-each must be an array, it is text', hint)
    return
  }
  checkValue(forEach, path, context, LIST)
}

/** Everything that is resolved when an instance of the step starts. */
export function checkStepValues(context: StepContext): void {
  const { step, path } = context
  const at = (...rest: (string | number)[]) => [...path, ...rest]
  switch (step.kind) {
    case 'agent':
      checkAgent({ ...context, step })
      break
    case 'run':
      checkArguments(step.command, at('command'), context)
      checkTexts(step.env, at('env'), context)
      break
    case 'verify':
      if (typeof step.commands === 'string') checkValue(step.commands, at('commands'), context, LIST)
      else {
        for (const [index, command] of step.commands.entries()) {
          checkArguments(command, at('commands', index), context)
        }
      }
      break
    case 'approve':
      checkText(step.prompt, at('prompt'), context)
      break
    case 'pull-request': {
      const { title, body, base } = step
      checkTexts(dropAbsent({ title, body, base }), path, context)
      break
    }
    case 'http':
      checkUrl(step.url, at('url'), context)
      checkTexts(step.headers, at('headers'), context)
      if (step.body !== undefined) checkValue(step.body, at('body'), context)
      break
    case 'workflow':
      checkChild({ ...context, step })
      break
    case 'wait': {
      const [key, value] = 'for' in step.until ? ['for', step.until.for] : ['signal', step.until.signal]
      checkValue(value, at(key), context, TEXT)
      break
    }
    default:
      step satisfies never
  }
}

function checkTexts(texts: Readonly<Record<string, string>>, path: ValuePath, context: CheckContext): void {
  for (const [key, text] of Object.entries(texts)) checkText(text, [...path, key], context)
}

function checkArguments(command: string | readonly string[], path: ValuePath, context: CheckContext): void {
  if (typeof command === 'string') checkValue(command, path, context, LIST)
  else for (const [index, argument] of command.entries()) checkText(argument, [...path, index], context)
}

function checkUrl(url: string, path: ValuePath, context: CheckContext): void {
  checkText(url, path, context)
  if (mayHoldReference(url)) return
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) {
    context.report(path, undefined, 'this is no http address', 'write https://host/path')
  }
}

const AGENT_NAME = /^[a-z][a-z0-9_-]{0,63}(@[0-9A-Za-z.-]{1,64})?$/

function checkAgent(context: StepContext & { readonly step: Extract<Step, { kind: 'agent' }> }): void {
  const { step, path, catalogue } = context
  checkValue(step.agent, [...path, 'agent'], context, TEXT)
  checkValue(step.with, [...path, 'with'], context)
  const name = findStaticText(step.agent, context)
  if (name === undefined) return
  if (!AGENT_NAME.test(name)) {
    context.report([...path, 'agent'], undefined, `"${name.slice(0, 60)}" cannot be the name of an agent`)
    return
  }
  const agent = catalogue.agents?.get(toPlainName(name))
  if (catalogue.agents !== undefined && agent === undefined) {
    const hint = suggest(toPlainName(name), [...catalogue.agents.keys()])
    context.report([...path, 'agent'], undefined, `there is no agent "${name}"`, hint)
  }
  // Another agent may stand there when the run begins: its inputs are checked then.
  if (agent?.inputs === undefined || mayHoldReference(step.agent)) return
  const required = Array.isArray(agent.inputs.required) ? agent.inputs.required.map(String) : []
  checkGiven(step.with, toShapeOfSchema(agent.inputs), required, `the agent "${name}"`, context)
}

function checkChild(context: StepContext & { readonly step: Extract<Step, { kind: 'workflow' }> }): void {
  const { step, path, catalogue, workflow } = context
  checkValue(step.workflow, [...path, 'workflow'], context, TEXT)
  checkValue(step.with, [...path, 'with'], context)
  const name = findStaticText(step.workflow, context)
  if (name === undefined) return
  if (toPlainName(name) === workflow.name) {
    const hint = 'a workflow that runs itself would never end'
    context.report([...path, 'workflow'], undefined, `"${name}" is this workflow`, hint)
    return
  }
  const child = catalogue.workflows?.get(toPlainName(name))
  if (child === undefined) {
    if (catalogue.workflows === undefined) return
    const hint = suggest(toPlainName(name), [...catalogue.workflows.keys()])
    context.report([...path, 'workflow'], undefined, `there is no workflow "${name}"`, hint)
    return
  }
  if (mayHoldReference(step.workflow)) return
  const inputs = Object.entries(child.inputs)
  const fields = inputs.map(([input, { type }]): [string, Shape] => [input, toShape(type)])
  const required = inputs
    .filter(([, input]) => input.required && input.default === undefined)
    .map(([input]) => input)
  const shape: Shape = { kind: 'object', fields: Object.fromEntries(fields), isOpen: false }
  checkGiven(step.with, shape, required, `the workflow "${name}"`, context)
}

/** Whether `with` is what the other side declares: names, presence, types. */
function checkGiven(
  given: Readonly<Record<string, Json>>,
  wanted: Shape,
  required: readonly string[],
  whose: string,
  context: StepContext,
): void {
  const path = [...context.path, 'with']
  if (wanted.kind !== 'object') return
  for (const key of required) {
    if (!Object.hasOwn(given, key)) {
      context.report(
        Object.keys(given).length > 0 ? path : context.path,
        undefined,
        `${whose} needs "${key}" in with`,
      )
    }
  }
  for (const key of wanted.isOpen ? [] : Object.keys(given)) {
    if (Object.hasOwn(wanted.fields, key)) continue
    context.report(
      [...path, key],
      undefined,
      `${whose} has no input "${key}"`,
      suggest(key, Object.keys(wanted.fields)),
    )
  }
  checkValue(given, path, { ...context, report: onlyTypes(context) }, wanted)
}

/** The text itself, or the default of the input that it is a reference to. */
function findStaticText(text: string, { workflow }: CheckContext): string | undefined {
  if (!mayHoldReference(text)) return text
  const template = parseTextTemplate(text)
  const [root, input, ...rest] = (template.ok ? toWholeReference(template.value)?.path : undefined) ?? []
  if (root !== 'inputs' || rest.length > 0 || !Object.hasOwn(workflow.inputs, String(input))) return undefined
  const value = workflow.inputs[String(input)]?.default
  return typeof value === 'string' ? value : undefined
}

function isWholeReference(text: string): boolean {
  const template = parseTextTemplate(text)
  // A template with a mistake is reported by the walk over its references.
  return mayHoldReference(text) && (!template.ok || toWholeReference(template.value) !== undefined)
}

function name(shape: Shape): string {
  switch (shape.kind) {
    case 'any':
      return 'anything'
    case 'array':
    case 'object':
      return `an ${shape.kind}`
    case 'null':
      return 'null'
    default:
      return `a ${shape.kind}`
  }
}
