import { type Findings, isObject } from './findings.ts'
import { quote, toOurName } from './foreign-name.ts'

/** How the steps of one workflow are called there and here. */
export type StepNames = {
  readonly ours: ReadonlyMap<string, string>
  /** Ids of ours that a step's texts refer to, gathered on the way */
  readonly used: Set<string>
}

const TEMPLATE = /\$\{\{([^{}]*)\}\}|\{\{([^{}]*)\}\}|\$\{([^{}]*)\}/g

/** The step's text with its references written as ours: `${…}` in values, `{{ … }}` in prompts. */
export function toOurText(
  text: string,
  form: 'value' | 'prompt',
  names: StepNames,
  findings: Findings,
): string {
  let result = ''
  let at = 0
  for (const match of text.matchAll(TEMPLATE)) {
    const path = toOurPath(match[1] ?? match[2] ?? match[3] ?? '', names, findings)
    const before = toLiteral(text.slice(at, match.index), form)
    if (form === 'value' && before.endsWith('$')) {
      findings.problems.push(
        `a $ right before ${quote(match[0])} cannot be written: put something between them`,
      )
    }
    result += before + (form === 'value' ? `\${${path}}` : `{{ ${path} }}`)
    at = match.index + match[0].length
  }
  return result + toLiteral(text.slice(at), form)
}

function toLiteral(text: string, form: 'value' | 'prompt'): string {
  return form === 'value' ? text.replaceAll('${', '$$${') : text
}

/** A value of any shape with its texts converted. Its depth was checked when it was parsed. */
export function toOurValue(value: unknown, names: StepNames, findings: Findings): unknown {
  if (typeof value === 'string') return toOurText(value, 'value', names, findings)
  if (Array.isArray(value)) return value.map((each) => toOurValue(each, names, findings))
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, toOurValue(each, names, findings)]),
  )
}

const PATH_CHARS_MAX = 400
const SEGMENT = /\.?([A-Za-z_][\w-]*)|\.?\[?(\d{1,6})\]?|\[(?:'([^'\]]*)'|"([^"\]]*)")\]/y
const INPUT_ROOTS = ['inputs', 'input', 'params', 'parameters', 'variables', 'vars']
const TICKET_ROOTS = ['ticket', 'task', 'issue']
const OWN_ROOTS = ['item', 'index', 'run', 'project']
const STEP_FIELDS = new Map([
  ['outputs', 'outputs'],
  ['output', 'outputs'],
  ['result', 'outputs'],
  ['status', 'status'],
  ['reason', 'reason'],
  ['error', 'reason'],
])

/** `steps.build-it.outputs.path` of `steps['Build it'].output.path`, `Build it` being a step. */
export function toOurPath(text: string, names: StepNames, findings: Findings): string {
  const segments = splitPath(toBrackets(text.trim(), names))
  const [root = '', ...rest] = segments
  if (INPUT_ROOTS.includes(root)) return join(['inputs', ...rest])
  if (TICKET_ROOTS.includes(root)) {
    return join([
      'ticket',
      ...rest.map((field, place) => (place === 0 && field === 'description' ? 'body' : field)),
    ])
  }
  if (OWN_ROOTS.includes(root)) return join(segments)
  const [id, field, ...path] = root === 'steps' ? rest : segments
  const ours = id === undefined ? undefined : findStep(id, names)
  const ourField = field === undefined ? undefined : STEP_FIELDS.get(field)
  if (ours !== undefined && ourField !== undefined) {
    names.used.add(ours)
    return join(['steps', ours, ourField, ...path])
  }
  const why =
    root === 'steps' && ours === undefined
      ? `there is no step ${quote(id ?? '')}`
      : 'write steps.<step>.outputs.<name>, inputs.<name> or ticket.title'
  findings.problems.push(`the reference ${quote(text.trim())} cannot be converted: ${why}`)
  return 'run.id'
}

export function findStep(id: string, { ours }: Pick<StepNames, 'ours'>): string | undefined {
  const exact = ours.get(id)
  if (exact !== undefined) return exact
  const alike = toOurName(id, 'step')
  return [...ours.values()].find((name) => name === alike)
}

/** `steps.Build it.outputs` is written by registries whose steps have names of several words. */
function toBrackets(text: string, { ours }: StepNames): string {
  const rest = text.startsWith('steps.') ? text.slice('steps.'.length) : text
  const name = [...ours.keys()].find((each) => /[^\w-]/.test(each) && rest.startsWith(`${each}.`))
  if (name === undefined || name.includes('"')) return text
  return `steps["${name}"]${rest.slice(name.length)}`
}

/** The names and places of a path; empty when it is none. */
function splitPath(text: string): readonly string[] {
  if (text.length > PATH_CHARS_MAX) return []
  const segments: string[] = []
  SEGMENT.lastIndex = 0
  while (SEGMENT.lastIndex < text.length) {
    const match = SEGMENT.exec(text)
    if (match === null) return []
    segments.push(match[1] ?? match[2] ?? match[3] ?? match[4] ?? '')
  }
  return segments
}

function join([root = '', ...rest]: readonly string[]): string {
  return rest.reduce((path, segment) => {
    if (/^\d+$/.test(segment)) return `${path}[${segment}]`
    return /^[A-Za-z_][\w-]*$/.test(segment) ? `${path}.${segment}` : `${path}['${segment}']`
  }, root)
}
