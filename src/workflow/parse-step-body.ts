import type { Json } from '../domain/json.ts'
import { dropAbsent } from './drop-absent.ts'
import { NAME } from './name-rule.ts'
import type { YamlMap, YamlNode } from './positioned-yaml.ts'
import {
  expectList,
  type Problems,
  readChoice,
  readDuration,
  readRecord,
  readText,
  readWord,
  toJson,
} from './read-node.ts'
import { mayHoldReference } from './reference.ts'
import { findTemplateProblem } from './render-prompt.ts'
import { HTTP_METHODS, type PromptSource, type Step, type StepCommon, type StepKind } from './workflow.ts'

/** The keys of a step besides those that every kind has. */
export const STEP_BODY_KEYS: Readonly<Record<StepKind, readonly string[]>> = {
  agent: ['agent', 'with', 'prompt', 'prompt-file', 'outputs'],
  run: ['command', 'env'],
  verify: ['commands'],
  approve: ['prompt', 'deadline'],
  'pull-request': ['title', 'body', 'base'],
  http: ['method', 'url', 'headers', 'body'],
  workflow: ['workflow', 'with', 'outputs'],
  wait: ['for', 'signal', 'outputs'],
}

/** Argument array of the checks that the project declares. */
export const PROJECT_CHECKS = '${project.checks}'

/** The step with what its kind alone has. Missing parts are problems and become empty. */
export function parseStepBody(kind: StepKind, map: YamlMap, common: StepCommon, problems: Problems): Step {
  const body = new BodyReader(map, problems)
  switch (kind) {
    case 'agent':
      return {
        ...common,
        kind,
        agent: body.requireText('agent', 'the name of an agent'),
        with: body.readWith(),
        ...dropAbsent({ prompt: body.readPrompt() }),
      }
    case 'run':
      return { ...common, kind, command: body.readCommand(), env: body.readEnv() }
    case 'verify':
      return { ...common, kind, commands: body.readCommands() }
    case 'approve': {
      const prompt = body.requireText('prompt', 'what the person is asked')
      return { ...common, kind, prompt, ...dropAbsent({ deadlineMs: body.readDuration('deadline') }) }
    }
    case 'pull-request':
      return {
        ...common,
        kind,
        ...dropAbsent({
          title: body.readText('title'),
          body: body.readText('body'),
          base: body.readText('base'),
        }),
      }
    case 'http':
      return {
        ...common,
        kind,
        method: body.read('method', (node) => readChoice(node, 'a method', HTTP_METHODS, problems)) ?? 'GET',
        url: body.requireText('url', 'an address'),
        headers: body.readHeaders(),
        ...dropAbsent({ body: body.read<Json>('body', toJson) }),
      }
    case 'workflow':
      return {
        ...common,
        kind,
        workflow: body.requireText('workflow', 'the name of a workflow'),
        with: body.readWith(),
      }
    case 'wait':
      return { ...common, kind, until: body.readUntil() }
    default:
      return kind satisfies never
  }
}

const COMMAND_HINT = 'write a list of arguments: [npm, test]; there is no shell'
const ENV_NAME = {
  charsMax: 128,
  pattern: /^(?!SWARM_)[A-Za-z_][A-Za-z0-9_]*$/,
  hint: 'letters, digits and _; SWARM_… is ours',
}
const HEADER_NAME = {
  charsMax: 128,
  pattern: /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/,
  hint: 'write a name such as Content-Type',
}
const PROMPT_FILE = {
  charsMax: 200,
  pattern: /^(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_./-]*$/,
  hint: 'a path inside .swarm/prompts/, such as implement.md',
}
const SIGNAL_NAME = { ...NAME, pattern: /^[A-Za-z_][A-Za-z0-9_.-]*$/ }

class BodyReader {
  readonly #map: YamlMap
  readonly #problems: Problems

  constructor(map: YamlMap, problems: Problems) {
    this.#map = map
    this.#problems = problems
  }

  read<Value>(key: string, reader: (node: YamlNode) => Value | undefined): Value | undefined {
    const node = this.#map.entries.get(key)?.value
    return node === undefined ? undefined : reader(node)
  }

  readText(key: string): string | undefined {
    return this.read(key, (node) => readText(node, key, this.#problems))
  }

  readDuration(key: string): number | undefined {
    return this.read(key, (node) => readDuration(node, key, { minMs: 1 }, this.#problems))
  }

  requireText(key: string, what: string): string {
    const node = this.#require(key, what)
    return (node && readText(node, key, this.#problems)) ?? ''
  }

  readWith(): Readonly<Record<string, Json>> {
    return (
      this.read('with', (node) =>
        readRecord(node, 'with', { name: { charsMax: 128 }, read: toJson }, this.#problems),
      ) ?? {}
    )
  }

  readEnv(): Readonly<Record<string, string>> {
    const read = (value: YamlNode, name: string) => readWord(value, `the variable ${name}`, this.#problems)
    return this.read('env', (node) => readRecord(node, 'env', { name: ENV_NAME, read }, this.#problems)) ?? {}
  }

  readHeaders(): Readonly<Record<string, string>> {
    const read = (value: YamlNode, name: string) => readWord(value, `the header ${name}`, this.#problems)
    return (
      this.read('headers', (node) =>
        readRecord(node, 'headers', { name: HEADER_NAME, read }, this.#problems),
      ) ?? {}
    )
  }

  readCommand(): string | readonly string[] {
    const node = this.#require('command', COMMAND_HINT)
    if (node === undefined) return []
    if (isReferenceText(node)) return node.value
    return this.#readArguments(node, 'command')
  }

  readCommands(): string | readonly (readonly string[])[] {
    const node = this.#map.entries.get('commands')?.value
    if (node === undefined) return PROJECT_CHECKS
    if (isReferenceText(node)) return node.value
    const hint = 'write a list of argument lists: [[npm, test]], or ${project.checks}'
    const list = expectList(node, 'commands', this.#problems, hint)
    if (list !== undefined && list.items.length === 0) {
      this.#problems.push({ offset: list.start, message: 'a verify step without a command proves nothing' })
    }
    return list?.items.map((item) => this.#readArguments(item, 'a command')) ?? []
  }

  #readArguments(node: YamlNode, what: string): readonly string[] {
    const list = expectList(node, what, this.#problems, COMMAND_HINT)
    if (list === undefined) return []
    if (list.items.length === 0) this.#problems.push({ offset: list.start, message: `${what} is empty` })
    return list.items.map((item, index) => {
      const isEmptyArgument = index > 0 && item.kind === 'scalar' && item.value === ''
      return isEmptyArgument ? '' : (readWord(item, 'an argument', this.#problems) ?? '')
    })
  }

  readPrompt(): PromptSource | undefined {
    const inline = this.#map.entries.get('prompt')
    const file = this.#map.entries.get('prompt-file')
    if (inline !== undefined && file !== undefined) {
      this.#problems.push({ offset: file.keyStart, message: 'a step has either prompt or prompt-file' })
    }
    if (inline === undefined) {
      const path = file && readText(file.value, 'prompt-file', this.#problems, PROMPT_FILE)
      return path === undefined ? undefined : { file: path }
    }
    const template = readText(inline.value, 'prompt', this.#problems)
    if (template === undefined) return undefined
    const problem = findTemplateProblem(template)
    if (problem !== undefined) {
      this.#problems.push({
        offset: inline.value.start,
        message: `line ${problem.line} of the prompt: ${problem.message}`,
        hint: 'prompts are Liquid templates: {{ ticket.title }}',
      })
    }
    return { template }
  }

  readUntil(): { readonly for: string } | { readonly signal: string } {
    const time = this.#map.entries.get('for')
    const signal = this.#map.entries.get('signal')
    if ((time === undefined) === (signal === undefined)) {
      const hint = 'for: 10m waits for time, signal: name for a signal'
      this.#problems.push({ offset: this.#map.start, message: 'a wait step has either for or signal', hint })
    }
    if (time !== undefined) {
      const isReference = isReferenceText(time.value)
      if (!isReference) readDuration(time.value, 'for', { minMs: 1 }, this.#problems)
      return { for: readText(time.value, 'for', isReference ? this.#problems : []) ?? '' }
    }
    const isReference = signal !== undefined && isReferenceText(signal.value)
    const rule = isReference ? {} : SIGNAL_NAME
    return { signal: (signal && readText(signal.value, 'a signal', this.#problems, rule)) ?? '' }
  }

  #require(key: string, hint: string): YamlNode | undefined {
    const node = this.#map.entries.get(key)?.value
    if (node === undefined) {
      const id = this.#map.entries.get('id')?.value
      const name = id?.kind === 'scalar' ? ` "${String(id.value).slice(0, 60)}"` : ''
      this.#problems.push({ offset: this.#map.start, message: `the step${name} lacks "${key}"`, hint })
    }
    return node
  }
}

function isReferenceText(
  node: YamlNode,
): node is YamlNode & { readonly kind: 'scalar'; readonly value: string } {
  return node.kind === 'scalar' && typeof node.value === 'string' && mayHoldReference(node.value)
}
