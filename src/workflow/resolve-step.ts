import type { Json, JsonObject } from '../domain/json.ts'
import type { Reason } from '../domain/reason.ts'
import { dropAbsent } from './drop-absent.ts'
import { DURATION_HINT, parseDuration } from './duration.ts'
import { nameType } from './evaluate-condition.ts'
import { isList, resolveValue, type Scope } from './expression.ts'
import type { StepWork } from './step-work.ts'
import type { Step } from './workflow.ts'

export type ResolvedStep =
  | { readonly ok: true; readonly work: StepWork }
  | { readonly ok: false; readonly reason: Reason; readonly message: string }

/** What an instance of the step starts with: references resolved, shapes checked, nothing left to the executor. */
export function resolveStep(step: Step, scope: Scope): ResolvedStep {
  const resolve = <Value>(key: string, value: Json, read: (value: Json, what: string) => Value): Value => {
    const resolved = resolveValue(value, scope)
    if (resolved.ok) return read(resolved.value, key)
    const place = [key, ...resolved.problem.path].join('.')
    throw new Unfit('reference_unresolved', `${place}: ${resolved.problem.message}`)
  }
  try {
    return { ok: true, work: toWork(step, resolve) }
  } catch (error) {
    if (error instanceof Unfit) return { ok: false, reason: error.reason, message: error.message }
    throw error
  }
}

/** Leaves the readers below at the first problem; never leaves this file. */
class Unfit extends Error {
  readonly reason: Reason

  constructor(reason: Reason, message: string) {
    super(message)
    this.reason = reason
  }
}

type Resolve = <Value>(key: string, value: Json, read: (value: Json, what: string) => Value) => Value

function toWork(step: Step, resolve: Resolve): StepWork {
  switch (step.kind) {
    case 'agent':
      return {
        kind: 'agent',
        agent: resolve('agent', step.agent, toName),
        with: resolve('with', step.with, toObject),
        ...dropAbsent({ prompt: step.prompt }),
      }
    case 'run':
      return {
        kind: 'run',
        command: resolve('command', step.command, toArguments),
        env: resolve('env', step.env, toEnv),
      }
    case 'verify':
      return { kind: 'verify', commands: resolve('commands', step.commands, toCommands) }
    case 'approve': {
      const prompt = resolve('prompt', step.prompt, toWords)
      return { kind: 'approve', prompt, ...dropAbsent({ deadlineMs: step.deadlineMs }) }
    }
    case 'pull-request': {
      const read = (key: 'title' | 'body' | 'base') => {
        const text = step[key]
        return text === undefined ? undefined : resolve(key, text, toWords)
      }
      return {
        kind: 'pull-request',
        ...dropAbsent({ title: read('title'), body: read('body'), base: read('base') }),
      }
    }
    case 'http':
      return {
        kind: 'http',
        method: step.method,
        url: resolve('url', step.url, toUrl),
        headers: resolve('headers', step.headers, toHeaders),
        ...dropAbsent({
          body: step.body === undefined ? undefined : resolve('body', step.body, (body) => body),
        }),
      }
    case 'workflow':
      return {
        kind: 'workflow',
        workflow: resolve('workflow', step.workflow, toName),
        with: resolve('with', step.with, toObject),
      }
    case 'wait':
      if ('signal' in step.until)
        return { kind: 'wait', signal: resolve('signal', step.until.signal, toName) }
      return { kind: 'wait', forMs: resolve('for', step.until.for, toDurationMs) }
    default:
      return step satisfies never
  }
}

/** Text as it is; a number or truth value in words. */
function toWords(value: Json, what: string): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new Unfit('input_invalid', `${what} must be text, it is ${nameType(value)}`)
}

function toName(value: Json, what: string): string {
  if (typeof value === 'string' && value !== '' && value.length <= 200) return value
  throw new Unfit(
    'input_invalid',
    `${what} must be a name, it is ${value === '' ? 'empty' : nameType(value)}`,
  )
}

function toObject(value: Json, what: string): JsonObject {
  if (typeof value === 'object' && value !== null && !isList(value)) return value
  throw new Unfit('input_invalid', `${what} must be an object, it is ${nameType(value)}`)
}

function toTexts(value: Json, what: string): Readonly<Record<string, string>> {
  const entries = Object.entries(toObject(value, what))
  return Object.fromEntries(entries.map(([key, text]) => [key, toWords(text, `${what}.${key}`)]))
}

/** An argument array: what the operating system takes, so no NUL character and a program to start. */
function toArguments(value: Json, what: string): readonly string[] {
  if (!isList(value)) {
    throw new Unfit('input_invalid', `${what} must be a list of arguments, it is ${nameType(value)}`)
  }
  const command = value.map((argument, index) =>
    refuseNul(toWords(argument, `${what}[${index}]`), `${what}[${index}]`),
  )
  if (command[0] === undefined || command[0] === '')
    throw new Unfit('input_invalid', `${what} names no program`)
  return command
}

function toEnv(value: Json, what: string): Readonly<Record<string, string>> {
  const env = toTexts(value, what)
  for (const [name, text] of Object.entries(env)) refuseNul(text, `${what}.${name}`)
  return env
}

function refuseNul(text: string, what: string): string {
  if (text.includes('\0')) throw new Unfit('input_invalid', `${what} holds a NUL character`)
  return text
}

/** Never empty: a verification of nothing proves nothing. A check may also be an object with a `command`. */
function toCommands(value: Json, what: string): readonly (readonly string[])[] {
  if (!isList(value))
    throw new Unfit('input_invalid', `${what} must be a list of commands, it is ${nameType(value)}`)
  if (value.length === 0) {
    const message = `${what} is empty: declare the project's checks, or list commands in the step`
    throw new Unfit('input_invalid', message)
  }
  return value.map((entry, index) => {
    const isObject = typeof entry === 'object' && entry !== null && !isList(entry)
    return toArguments(isObject ? (entry.command ?? null) : entry, `${what}[${index}]`)
  })
}

function toUrl(value: Json, what: string): string {
  const text = toWords(value, what)
  const url = URL.parse(text)
  if (url !== null && /^https?:$/.test(url.protocol)) return url.href
  throw new Unfit('input_invalid', `${what} is no http address`)
}

function toHeaders(value: Json, what: string): Readonly<Record<string, string>> {
  const headers = toTexts(value, what)
  for (const [name, text] of Object.entries(headers)) {
    if (/[\0\r\n]/.test(text)) throw new Unfit('input_invalid', `${what}.${name} holds a line break`)
  }
  return headers
}

function toDurationMs(value: Json, what: string): number {
  const durationMs = typeof value === 'string' ? parseDuration(value) : undefined
  if (durationMs !== undefined) return durationMs
  throw new Unfit('input_invalid', `${what} is no duration: ${DURATION_HINT}`)
}
