import type { Parsed, Reference } from './reference.ts'
import { parseReference, ROOTS } from './reference.ts'

/** A parsed condition. Nothing of it is ever evaluated as code. */
export type Condition =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null; readonly offset: number }
  | { readonly kind: 'reference'; readonly reference: Reference; readonly offset: number }
  /** True, and says that the step deals with every need itself, whatever became of it */
  | { readonly kind: 'always'; readonly offset: number }
  | { readonly kind: 'not'; readonly operand: Condition; readonly offset: number }
  | {
      readonly kind: 'and' | 'or'
      readonly left: Condition
      readonly right: Condition
      readonly offset: number
    }
  | {
      readonly kind: 'compare'
      readonly operator: Comparison
      readonly left: Condition
      readonly right: Condition
      readonly offset: number
    }

const COMPARISONS = ['==', '!=', '<=', '>=', '<', '>', 'contains'] as const
export type Comparison = (typeof COMPARISONS)[number]

export const CONDITION_CHARS_MAX = 2_000
const DEPTH_MAX = 32

/**
 * Reads a condition:
 *
 *     or      = and { "or" and }
 *     and     = not { "and" not }
 *     not     = "not" not | compare
 *     compare = operand [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "contains") operand ]
 *     operand = literal | reference | "${" reference "}" | "always" | "(" or ")"
 */
export function parseCondition(text: string): Parsed<Condition> {
  if (text.length > CONDITION_CHARS_MAX) {
    return {
      ok: false,
      problem: { offset: 0, message: `a condition is longer than ${CONDITION_CHARS_MAX} characters` },
    }
  }
  const parser = new ConditionParser(text)
  try {
    return { ok: true, value: parser.parse() }
  } catch (error) {
    if (error instanceof ConditionSyntaxError) return { ok: false, problem: error.problem }
    throw error
  }
}

/** Every reference in a condition, in the order of the text. */
export function listConditionReferences(condition: Condition): readonly Reference[] {
  switch (condition.kind) {
    case 'reference':
      return [condition.reference]
    case 'not':
      return listConditionReferences(condition.operand)
    case 'and':
    case 'or':
    case 'compare':
      return [...listConditionReferences(condition.left), ...listConditionReferences(condition.right)]
    default:
      return []
  }
}

/** Whether `always` occurs in it. */
export function hasAlways(condition: Condition): boolean {
  switch (condition.kind) {
    case 'always':
      return true
    case 'not':
      return hasAlways(condition.operand)
    case 'and':
    case 'or':
    case 'compare':
      return hasAlways(condition.left) || hasAlways(condition.right)
    default:
      return false
  }
}

/** Leaves the recursive parser at once; never leaves this file. */
class ConditionSyntaxError extends Error {
  readonly problem: { offset: number; message: string; hint?: string }

  constructor(problem: { offset: number; message: string; hint?: string }) {
    super(problem.message)
    this.problem = problem
  }
}

type Token = {
  readonly kind: 'word' | 'number' | 'string' | 'operator' | 'reference' | 'end'
  readonly text: string
  readonly offset: number
}

const TOKEN =
  /\s*(?:(?<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?(?![A-Za-z0-9_.]))|(?<reference>\$\{[^}]*\})|(?<operator>==|!=|<=|>=|<|>|\(|\))|(?<word>[A-Za-z_](?:[A-Za-z0-9_.-]|\[\d{1,6}\]|\['[^'\]]*'\])*))/y

/** Words of other languages that people try, and ours. */
const FOREIGN_OPERATORS: Readonly<Record<string, string>> = {
  '&&': 'and',
  '||': 'or',
  '!': 'not',
  '=': '==',
  '===': '==',
  '!==': '!=',
}

class ConditionParser {
  readonly #text: string
  #token: Token
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
    this.#token = { kind: 'end', text: '', offset: 0 }
  }

  parse(): Condition {
    this.#advance()
    if (this.#isAtEnd()) this.#fail('an empty condition')
    const condition = this.#parseOr()
    if (!this.#isAtEnd()) this.#fail(`"${this.#token.text}" is not expected here`, GRAMMAR_HINT)
    return condition
  }

  #parseOr(): Condition {
    let left = this.#parseAnd()
    while (this.#isWord('or')) {
      const { offset } = this.#advance()
      left = { kind: 'or', left, right: this.#parseAnd(), offset }
    }
    return left
  }

  #parseAnd(): Condition {
    let left = this.#parseNot()
    while (this.#isWord('and')) {
      const { offset } = this.#advance()
      left = { kind: 'and', left, right: this.#parseNot(), offset }
    }
    return left
  }

  #parseNot(): Condition {
    if (!this.#isWord('not')) return this.#parseComparison()
    const { offset } = this.#advance()
    return this.#deeper(() => ({ kind: 'not', operand: this.#parseNot(), offset }))
  }

  #parseComparison(): Condition {
    const left = this.#parseOperand()
    const operator = this.#readComparison()
    if (operator === undefined) return left
    const { offset } = this.#advance()
    const compare: Condition = { kind: 'compare', operator, left, right: this.#parseOperand(), offset }
    if (this.#readComparison() !== undefined) {
      this.#fail('comparisons cannot be chained', 'join two comparisons with "and"')
    }
    return compare
  }

  #parseOperand(): Condition {
    const token = this.#advance()
    const { offset } = token
    switch (token.kind) {
      case 'string':
        return { kind: 'literal', value: this.#unquote(token), offset }
      case 'number':
        return { kind: 'literal', value: Number(token.text), offset }
      case 'reference':
        return this.#toReference(token.text.slice(2, -1), offset + 2)
      case 'word':
        return this.#parseWord(token)
      case 'operator':
        if (token.text === '(') return this.#parseGroup()
    }
    const found = token.text === '' ? 'the condition ends' : `"${token.text}" stands`
    return this.#fail(`${found} where a value is expected`, GRAMMAR_HINT, offset)
  }

  #parseGroup(): Condition {
    return this.#deeper(() => {
      const inner = this.#parseOr()
      if (this.#token.text !== ')' || this.#token.kind !== 'operator') this.#fail('a ( has no closing )')
      this.#advance()
      return inner
    })
  }

  #parseWord({ text, offset }: Token): Condition {
    if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true', offset }
    if (text === 'null') return { kind: 'literal', value: null, offset }
    if (text === 'always') return { kind: 'always', offset }
    const root = /^[A-Za-z_][A-Za-z0-9_-]*/.exec(text)?.[0] ?? text
    if (!(ROOTS as readonly string[]).includes(root)) {
      const hint = `write text in quotes ('${text}'); a reference begins with ${ROOTS.join(', ')}`
      this.#fail(`"${text}" is neither a value nor a reference`, hint, offset)
    }
    return this.#toReference(text, offset)
  }

  #toReference(text: string, offset: number): Condition {
    const reference = parseReference(text, offset)
    if (!reference.ok) throw new ConditionSyntaxError(reference.problem)
    return { kind: 'reference', reference: reference.value, offset: reference.value.offset }
  }

  #unquote({ text, offset }: Token): string {
    const inner = text.slice(1, -1)
    const wrong = /\\[^\\'"]/.exec(inner.replaceAll('\\\\', '  '))
    if (wrong !== null) {
      this.#fail(`"${wrong[0]}" is no escape`, `only \\\\, \\' and \\" are`, offset + 1 + wrong.index)
    }
    return inner.replaceAll(/\\(.)/g, '$1')
  }

  #isAtEnd(): boolean {
    return this.#token.kind === 'end'
  }

  #isWord(word: string): boolean {
    return this.#token.kind === 'word' && this.#token.text === word
  }

  #readComparison(): Comparison | undefined {
    const { kind, text } = this.#token
    if (kind !== 'operator' && kind !== 'word') return undefined
    return COMPARISONS.find((comparison) => comparison === text)
  }

  #deeper(parse: () => Condition): Condition {
    if (this.#depth >= DEPTH_MAX) this.#fail(`a condition is nested deeper than ${DEPTH_MAX} levels`)
    this.#depth++
    const condition = parse()
    this.#depth--
    return condition
  }

  /** Gives the current token and reads the next. */
  #advance(): Token {
    const current = this.#token
    TOKEN.lastIndex = this.#at
    const match = TOKEN.exec(this.#text)
    if (match === null) {
      const rest = this.#text.slice(this.#at)
      const offset = this.#at + (rest.length - rest.trimStart().length)
      if (rest.trim() !== '') this.#failAtUnknown(rest.trim(), offset)
      this.#token = { kind: 'end', text: '', offset: this.#text.length }
      return current
    }
    this.#at = TOKEN.lastIndex
    const [kind, text] = Object.entries(match.groups ?? {}).find((entry) => entry[1] !== undefined) ?? []
    this.#token = { kind: kind as Token['kind'], text: text ?? '', offset: this.#at - (text ?? '').length }
    return current
  }

  #failAtUnknown(rest: string, offset: number): never {
    if (/^['"]/.test(rest)) this.#fail('a text has no closing quote', undefined, offset)
    if (rest.startsWith('${'))
      this.#fail('a reference that begins with ${ has no closing }', undefined, offset)
    const foreign = /^[&|!=]+/.exec(rest)?.[0]
    const ours = foreign === undefined ? undefined : FOREIGN_OPERATORS[foreign]
    const hint = ours === undefined ? GRAMMAR_HINT : `did you mean "${ours}"?`
    return this.#fail(`"${foreign ?? rest.slice(0, 1)}" is no part of a condition`, hint, offset)
  }

  #fail(message: string, hint?: string, offset = this.#token.offset): never {
    throw new ConditionSyntaxError({ offset, message, ...(hint === undefined ? {} : { hint }) })
  }
}

const GRAMMAR_HINT =
  "a condition is made of values, == != < <= > >= contains, and or not, and ( ): steps.test.status == 'failed'"
