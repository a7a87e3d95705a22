import type { Json } from '../domain/json.ts'
import type { Catalogue } from './catalogue.ts'
import { checkWorkflow } from './check-workflow.ts'
import { dropAbsent } from './drop-absent.ts'
import { NAME, STEP_ID } from './name-rule.ts'
import { parseStep } from './parse-step.ts'
import {
  parsePositionedYaml,
  toPlace,
  type YamlDocument,
  type YamlMap,
  type YamlNode,
} from './positioned-yaml.ts'
import {
  expectList,
  type Problems,
  readBoolean,
  readChoice,
  readInteger,
  readMap,
  readRecord,
  readText,
  readWord,
  toJson,
} from './read-node.ts'
import { hasType } from './value-type.ts'
import {
  DONE_WHEN,
  type DoneWhen,
  type InputDeclaration,
  type Step,
  VALUE_TYPES,
  type Workflow,
  type WorkflowLimits,
} from './workflow.ts'
import type { Problem, WorkflowError } from './workflow-error.ts'

export type ParsedWorkflow =
  | { readonly ok: true; readonly workflow: Workflow }
  | { readonly ok: false; readonly errors: readonly WorkflowError[] }

export const STEP_COUNT_MAX = 200
export const INPUT_COUNT_MAX = 100
export const PARALLEL_MAX = 1_000
/** More than a person reads; the rest waits until these are mended */
const ERROR_COUNT_MAX = 50

/**
 * Reads and checks a workflow. Everything that can be known before a run is an error here, with its place:
 * syntax, unknown keys, kinds, steps and references, types, cycles, steps that can never run. With a catalogue
 * also unknown agents and workflows and what they are given. Never throws.
 * @param file name for the error messages
 */
export function parseWorkflow(
  text: string,
  { file = 'workflow.yaml', catalogue = {} }: { readonly file?: string; readonly catalogue?: Catalogue } = {},
): ParsedWorkflow {
  const yaml = parsePositionedYaml(text)
  if (!yaml.ok) return { ok: false, errors: toErrors(text, file, yaml.problems) }
  const problems: Problems = []
  const workflow = readWorkflow(yaml.document, problems)
  // What a shape problem makes of the workflow would only be reported as further problems.
  if (workflow !== undefined && problems.length === 0) {
    problems.push(...checkWorkflow(workflow, yaml.document, catalogue))
    if (problems.length === 0) return { ok: true, workflow }
  }
  return { ok: false, errors: toErrors(text, file, problems) }
}

const WORKFLOW_KEYS = [
  'name',
  'version',
  'description',
  'inputs',
  'done-when',
  'limits',
  'outputs',
  'steps',
] as const

function readWorkflow({ root }: YamlDocument, problems: Problems): Workflow | undefined {
  const map = readMap(root, 'the workflow', WORKFLOW_KEYS, ['name', 'version', 'steps'], problems)
  if (map === undefined) return undefined
  const at = <Value>(key: string, read: (node: YamlNode) => Value | undefined): Value | undefined => {
    const node = map.entries.get(key)?.value
    return node === undefined ? undefined : read(node)
  }
  const steps = at('steps', (node) => readSteps(node, problems)) ?? []
  return {
    name: at('name', (node) => readText(node, 'the name of a workflow', problems, STEP_ID)) ?? '',
    version: at('version', (node) => readWord(node, 'a version', problems, VERSION)) ?? '',
    ...dropAbsent({
      description: at('description', (node) => readText(node, 'the description', problems)),
      outputs: at('outputs', (node) =>
        readRecord<Json>(node, 'outputs', { name: NAME, read: toJson }, problems),
      ),
    }),
    inputs: at('inputs', (node) => readInputs(node, problems)) ?? {},
    doneWhen: readDoneWhen(map, steps, problems),
    limits: at('limits', (node) => readLimits(node, problems)) ?? {},
    steps,
  }
}

const VERSION = {
  charsMax: 64,
  pattern: /^[0-9]+(\.[0-9]+){0,2}(-[0-9A-Za-z.-]+)?$/,
  hint: 'write 1, 1.2 or 1.2.3',
}

function readSteps(node: YamlNode, problems: Problems): readonly Step[] {
  const list = expectList(node, 'steps', problems, 'each step begins with "- id: name"')
  if (list === undefined) return []
  if (list.items.length === 0)
    problems.push({ offset: list.start, message: 'a workflow needs at least one step' })
  if (list.items.length > STEP_COUNT_MAX) {
    problems.push({ offset: list.start, message: `a workflow has at most ${STEP_COUNT_MAX} steps` })
    return []
  }
  return list.items.map((item) => parseStep(item, problems)).filter((step) => step !== undefined)
}

function readInputs(node: YamlNode, problems: Problems): Readonly<Record<string, InputDeclaration>> {
  if (node.kind === 'map' && node.entries.size > INPUT_COUNT_MAX) {
    problems.push({ offset: node.start, message: `a workflow has at most ${INPUT_COUNT_MAX} inputs` })
    return {}
  }
  return readRecord(node, 'inputs', { name: NAME, read: (value) => readInput(value, problems) }, problems)
}

const INPUT_KEYS = ['type', 'required', 'default', 'description'] as const

function readInput(node: YamlNode, problems: Problems): InputDeclaration | undefined {
  if (node.kind === 'scalar' && typeof node.value === 'string') {
    const type = readChoice(node, 'the type of an input', VALUE_TYPES, problems)
    return type && { type, required: false }
  }
  const map = readMap(node, 'an input', INPUT_KEYS, ['type'], problems)
  const typeNode = map?.entries.get('type')?.value
  const type = typeNode && readChoice(typeNode, 'the type of an input', VALUE_TYPES, problems)
  if (map === undefined || type === undefined) return undefined
  const required = map.entries.get('required')?.value
  const description = map.entries.get('description')?.value
  const defaultNode = map.entries.get('default')?.value
  if (defaultNode !== undefined) checkDefault(defaultNode, type, problems)
  return {
    type,
    required: (required && readBoolean(required, 'required', problems)) ?? false,
    ...dropAbsent({
      default: defaultNode && toJson(defaultNode),
      description: description && readText(description, 'the description', problems),
    }),
  }
}

function checkDefault(node: YamlNode, type: InputDeclaration['type'], problems: Problems): void {
  const value = toJson(node)
  if (value !== null && !hasType(value, type)) {
    problems.push({ offset: node.start, message: `the default is no ${type}` })
  }
  if (JSON.stringify(value).includes('${')) {
    const hint = 'use the reference where the input is used'
    problems.push({ offset: node.start, message: 'a default holds no references', hint })
  }
}

function readLimits(node: YamlNode, problems: Problems): WorkflowLimits | undefined {
  const map = readMap(node, 'limits', ['parallel'], [], problems)
  const parallel = map?.entries.get('parallel')?.value
  const count = parallel && readInteger(parallel, 'parallel', { min: 1, max: PARALLEL_MAX }, problems)
  return count === undefined ? {} : { parallel: count }
}

function readDoneWhen(map: YamlMap, steps: readonly Step[], problems: Problems): DoneWhen {
  const hasPullRequest = steps.some((step) => step.kind === 'pull-request')
  const entry = map.entries.get('done-when')
  if (entry === undefined) return hasPullRequest ? 'merged' : 'finished'
  const doneWhen = readChoice(entry.value, 'done-when', DONE_WHEN, problems) ?? 'finished'
  if (doneWhen !== 'finished' && !hasPullRequest) {
    problems.push({
      offset: entry.value.start,
      message: `done-when: ${doneWhen} needs a step of kind pull-request`,
      hint: 'done-when: finished ends the ticket with the run',
    })
  }
  return doneWhen
}

function toErrors(text: string, file: string, problems: readonly Problem[]): readonly WorkflowError[] {
  const sorted = [...problems].sort((left, right) => left.offset - right.offset).slice(0, ERROR_COUNT_MAX)
  return sorted.map(({ offset, message, hint }) => ({
    file,
    ...toPlace(text, offset),
    message: message.slice(0, 1_000),
    ...dropAbsent({ hint }),
  }))
}
