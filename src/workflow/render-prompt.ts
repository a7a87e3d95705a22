import { Liquid, LiquidError } from 'liquidjs'
import type { JsonObject } from '../domain/json.ts'

export type PromptProblem = {
  /** In the template, counted from 1 */
  readonly line: number
  /** Counted from 1 */
  readonly column: number
  readonly message: string
}

export type RenderedPrompt =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problem: PromptProblem }

/** Largest template, characters */
export const TEMPLATE_CHARS_MAX = 65_536
/** Largest rendered prompt, characters */
export const PROMPT_CHARS_MAX = 4_194_304
const RENDER_MS_MAX = 500
/** What liquidjs counts: about one per character or element touched */
const MEMORY_MAX = 16_777_216

/**
 * Renders a strict Liquid template: an unknown variable, filter or tag is a problem, never an empty text.
 * Variables are data: only their own properties are seen and nothing in them is read as a template. Templates
 * include no files. Blocks for at most `RENDER_MS_MAX`, `ms`. Never throws.
 */
export function renderPrompt({
  template,
  variables,
}: {
  readonly template: string
  readonly variables: JsonObject
}): RenderedPrompt {
  const tooLong = checkLength(template)
  if (tooLong !== undefined) return { ok: false, problem: tooLong }
  try {
    const text: unknown = liquid.parseAndRenderSync(template, variables)
    if (typeof text === 'string' && text.length <= PROMPT_CHARS_MAX) return { ok: true, text }
    const message = `the prompt is longer than ${PROMPT_CHARS_MAX} characters`
    return { ok: false, problem: { line: 1, column: 1, message } }
  } catch (error) {
    return { ok: false, problem: toProblem(error) }
  }
}

/** What is wrong with a template before any variable is known: its syntax, unknown filters and tags. */
export function findTemplateProblem(template: string): PromptProblem | undefined {
  const tooLong = checkLength(template)
  if (tooLong !== undefined) return tooLong
  try {
    liquid.parse(template)
    return undefined
  } catch (error) {
    return toProblem(error)
  }
}

/** Filters whose work grows with their input only; none reads the clock, files or chance. */
const FILTERS: readonly string[] = [
  'abs',
  'append',
  'at_least',
  'at_most',
  'capitalize',
  'ceil',
  'compact',
  'concat',
  'default',
  'divided_by',
  'downcase',
  'escape',
  'first',
  'floor',
  'join',
  'json',
  'last',
  'lstrip',
  'map',
  'minus',
  'modulo',
  'plus',
  'prepend',
  'remove',
  'remove_first',
  'replace',
  'replace_first',
  'reverse',
  'round',
  'rstrip',
  'size',
  'slice',
  'sort',
  'split',
  'strip',
  'strip_newlines',
  'sum',
  'times',
  'truncate',
  'truncatewords',
  'uniq',
  'upcase',
  'url_encode',
  'where',
]

/** No tag that reads another template. */
const TAGS: readonly string[] = [
  '#',
  'assign',
  'break',
  'capture',
  'case',
  'comment',
  'continue',
  'cycle',
  'decrement',
  'echo',
  'for',
  'if',
  'increment',
  'liquid',
  'raw',
  'unless',
]

const liquid = createLiquid()

function createLiquid(): Liquid {
  const engine = new Liquid({
    strictVariables: true,
    strictFilters: true,
    ownPropertyOnly: true,
    lenientIf: true,
    dynamicPartials: false,
    cache: false,
    templates: {},
    parseLimit: TEMPLATE_CHARS_MAX,
    renderLimit: RENDER_MS_MAX,
    memoryLimit: MEMORY_MAX,
  })
  for (const name of Object.keys(engine.filters)) if (!FILTERS.includes(name)) delete engine.filters[name]
  for (const name of Object.keys(engine.tags)) if (!TAGS.includes(name)) delete engine.tags[name]
  return engine
}

function checkLength(template: string): PromptProblem | undefined {
  if (template.length <= TEMPLATE_CHARS_MAX) return undefined
  return { line: 1, column: 1, message: `the template is longer than ${TEMPLATE_CHARS_MAX} characters` }
}

function toProblem(error: unknown): PromptProblem {
  const message = error instanceof Error ? error.message : String(error)
  if (!(error instanceof LiquidError)) return { line: 1, column: 1, message }
  const [line = 1, column = 1] = error.token.getPosition()
  return { line, column, message: message.replace(/, line:\d+, col:\d+$/, '').slice(0, 500) }
}
