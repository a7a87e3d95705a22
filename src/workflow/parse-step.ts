import { findNearest } from '../domain/nearest-word.ts'
import { REASON_CLASSES, type ReasonClass, retryRuleOf } from '../domain/reason.ts'
import { DEFAULT_RETRY, type RetryPolicy } from '../domain/retry.ts'
import { CONDITION_CHARS_MAX } from './condition.ts'
import { dropAbsent } from './drop-absent.ts'
import { NAME, STEP_ID } from './name-rule.ts'
import { parseStepBody, STEP_BODY_KEYS } from './parse-step-body.ts'
import type { YamlMap, YamlNode } from './positioned-yaml.ts'
import {
  expectList,
  expectMap,
  type Problems,
  readChoice,
  readDuration,
  readInteger,
  readMap,
  readRecord,
  readText,
  readWord,
  toJson,
} from './read-node.ts'
import { ON_FAILURE, STEP_KINDS, type Step, type StepCommon, type StepKind, VALUE_TYPES } from './workflow.ts'

const COMMON_KEYS = [
  'id',
  'kind',
  'description',
  'needs',
  'if',
  'retry',
  'timeout',
  'for-each',
  'max-parallel',
  'on-failure',
] as const

/** One element of `steps`, or `undefined` when it cannot be told what it is. */
export function parseStep(node: YamlNode, problems: Problems): Step | undefined {
  const map = expectMap(node, 'a step', problems)
  if (map === undefined) return undefined
  const kind = parseKind(map, problems)
  const idNode = map.entries.get('id')?.value
  if (idNode === undefined) problems.push({ offset: map.start, message: 'the step lacks "id"' })
  const id = idNode === undefined ? undefined : readText(idNode, 'the id of a step', problems, STEP_ID)
  if (kind === undefined) return undefined
  const what = id === undefined ? `a step of kind ${kind}` : `the step "${id}"`
  readMap(map, what, [...COMMON_KEYS, ...STEP_BODY_KEYS[kind]], [], problems)
  const common = parseCommon(map, id ?? '', problems)
  return parseStepBody(kind, map, common, problems)
}

/** A kind that is missing is guessed from the keys, to say which one to write. */
function parseKind(map: YamlMap, problems: Problems): StepKind | undefined {
  const node = map.entries.get('kind')?.value
  if (node !== undefined) return readChoice(node, 'the kind of a step', STEP_KINDS, problems)
  const typo = [...map.entries.keys()].find((key) => key !== 'id' && findNearest(key, ['kind']) !== undefined)
  const guess = STEP_KINDS.find((kind) =>
    STEP_BODY_KEYS[kind].some((key) => key !== 'with' && map.entries.has(key)),
  )
  const known = guess === undefined ? `one of ${STEP_KINDS.join(', ')}` : `did you mean "kind: ${guess}"?`
  const hint = typo === undefined ? known : `did you mean "kind" where "${typo}" stands?`
  problems.push({ offset: map.start, message: 'the step lacks "kind"', hint })
  return undefined
}

function parseCommon(map: YamlMap, id: string, problems: Problems): StepCommon {
  const read = <Value>(key: string, reader: (node: YamlNode) => Value | undefined): Value | undefined => {
    const node = map.entries.get(key)?.value
    return node === undefined ? undefined : reader(node)
  }
  const forEach = read('for-each', (node) => parseForEach(node, problems))
  const maxParallel = read('max-parallel', (node) =>
    readInteger(node, 'max-parallel', { min: 1, max: 1_000 }, problems),
  )
  const maxParallelAt = map.entries.get('max-parallel')?.keyStart
  if (maxParallelAt !== undefined && !map.entries.has('for-each')) {
    problems.push({
      offset: maxParallelAt,
      message: 'max-parallel needs for-each',
      hint: 'the limit of the whole run is limits.parallel',
    })
  }
  const parts = {
    description: read('description', (node) => readText(node, 'the description', problems)),
    if: read('if', (node) => readWord(node, 'a condition', problems, { charsMax: CONDITION_CHARS_MAX })),
    retry: read('retry', (node) => parseRetry(node, problems)),
    timeoutMs: read('timeout', (node) => readDuration(node, 'timeout', { minMs: 1 }, problems)),
    forEach,
    maxParallel,
    outputs: read('outputs', (node) =>
      readRecord(
        node,
        'outputs',
        { name: NAME, read: (value) => readChoice(value, 'a type', VALUE_TYPES, problems) },
        problems,
      ),
    ),
  }
  return {
    id,
    needs: read('needs', (node) => parseNeeds(node, problems)) ?? [],
    onFailure: read('on-failure', (node) => readChoice(node, 'on-failure', ON_FAILURE, problems)) ?? 'fail',
    ...dropAbsent(parts),
  }
}

function parseNeeds(node: YamlNode, problems: Problems): readonly string[] {
  if (node.kind === 'scalar' && typeof node.value === 'string') return [node.value]
  const needs: string[] = []
  for (const item of expectList(node, 'needs', problems, 'needs: [build, test]')?.items ?? []) {
    const need = readText(item, 'a need', problems)
    if (need === undefined) continue
    if (needs.includes(need))
      problems.push({ offset: item.start, message: `"${need}" stands in needs twice` })
    else needs.push(need)
  }
  return needs
}

function parseForEach(node: YamlNode, problems: Problems): StepCommon['forEach'] {
  if (node.kind === 'list') return node.items.map(toJson)
  return readText(node, 'for-each', problems, {
    hint: 'give a list, or a reference to one: ${inputs.files}',
  })
}

const RETRY_KEYS = ['max', 'backoff', 'backoff-max', 'on'] as const
/** Attempts after the first */
const RETRY_COUNT_MAX = 100
const RETRIED_CLASSES = REASON_CLASSES.filter((reasonClass) => retryRuleOf(reasonClass) === 'step')

function parseRetry(node: YamlNode, problems: Problems): RetryPolicy | undefined {
  const map = readMap(node, 'retry', RETRY_KEYS, [], problems)
  if (map === undefined) return undefined
  const max = map.entries.get('max')?.value
  const backoff = map.entries.get('backoff')?.value
  const backoffMax = map.entries.get('backoff-max')?.value
  const on = map.entries.get('on')?.value
  const retryCount = max && readInteger(max, 'max', { min: 0, max: RETRY_COUNT_MAX }, problems)
  const backoffMs =
    (backoff && readDuration(backoff, 'backoff', { minMs: 0 }, problems)) ?? DEFAULT_RETRY.backoffMs
  const backoffMaxMs = backoffMax && readDuration(backoffMax, 'backoff-max', { minMs: 0 }, problems)
  if (backoffMax && backoffMaxMs !== undefined && backoffMaxMs < backoffMs) {
    problems.push({ offset: backoffMax.start, message: 'backoff-max is shorter than backoff' })
  }
  return {
    attemptCountMax: (retryCount ?? DEFAULT_RETRY.attemptCountMax - 1) + 1,
    backoffMs,
    backoffMaxMs: backoffMaxMs ?? Math.max(backoffMs, DEFAULT_RETRY.backoffMaxMs),
    on: on === undefined ? DEFAULT_RETRY.on : parseRetryOn(on, problems),
  }
}

function parseRetryOn(node: YamlNode, problems: Problems): readonly ReasonClass[] {
  const classes: ReasonClass[] = []
  for (const item of expectList(node, 'on', problems, `on: [${RETRIED_CLASSES.join(', ')}]`)?.items ?? []) {
    const word = item.kind === 'scalar' ? item.value : undefined
    if (REASON_CLASSES.some((one) => one === word) && !RETRIED_CLASSES.some((one) => one === word)) {
      problems.push({
        offset: item.start,
        message: `a failure of class "${String(word)}" is never retried within a run`,
        hint: `known: ${RETRIED_CLASSES.join(', ')}`,
      })
      continue
    }
    const reasonClass = readChoice(item, 'a class of failures', RETRIED_CLASSES, problems)
    if (reasonClass !== undefined && !classes.includes(reasonClass)) classes.push(reasonClass)
  }
  return classes
}
