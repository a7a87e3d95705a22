/** The names that a reference may begin with. */
export const ROOTS = ['inputs', 'ticket', 'project', 'run', 'steps', 'item', 'index'] as const
export type Root = (typeof ROOTS)[number]

/** `steps.build.outputs[0].path` as data. */
export type Reference = {
  /** As it was written, without `${` and `}` */
  readonly text: string
  /** Names and places in lists; the first is one of `ROOTS` */
  readonly path: readonly [Root, ...(string | number)[]]
  /** Where it begins in the text it was read from, characters from 0 */
  readonly offset: number
}

/** Text with references in it: literal pieces and references in their order. */
export type TextTemplate = readonly (string | Reference)[]

export type SyntaxProblem = {
  readonly message: string
  /** Where in the text, characters from 0 */
  readonly offset: number
  readonly hint?: string
}

export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: SyntaxProblem }

const REFERENCE_CHARS_MAX = 500

/** Whether the text may hold a reference; a quick look that spares a parse. */
export function mayHoldReference(text: string): boolean {
  return text.includes('${')
}

/** Reads `text with ${references}`; `$${` stands for the characters `${`. */
export function parseTextTemplate(text: string): Parsed<TextTemplate> {
  const parts: (string | Reference)[] = []
  let literal = ''
  let at = 0
  while (at < text.length) {
    const start = text.indexOf('${', at)
    if (start === -1) break
    if (text[start - 1] === '$' && start > at) {
      literal += `${text.slice(at, start - 1)}\${`
      at = start + 2
      continue
    }
    const end = text.indexOf('}', start)
    if (end === -1) {
      return fail(
        start,
        'a reference that begins with ${ has no closing }',
        'write $${ for the characters ${',
      )
    }
    const reference = parseReference(text.slice(start + 2, end), start + 2)
    if (!reference.ok) return reference
    literal += text.slice(at, start)
    if (literal !== '') parts.push(literal)
    literal = ''
    parts.push(reference.value)
    at = end + 1
  }
  literal += text.slice(at)
  if (literal !== '') parts.push(literal)
  return { ok: true, value: parts }
}

/** The reference when the text is nothing but one: such a value keeps its type. */
export function toWholeReference(template: TextTemplate): Reference | undefined {
  const [first] = template
  return template.length === 1 && typeof first === 'object' ? first : undefined
}

/** Reads `steps.build.outputs[0].path`; blanks around it are allowed. */
export function parseReference(text: string, offset = 0): Parsed<Reference> {
  const inner = text.trim()
  const start = offset + (text.length - text.trimStart().length)
  if (inner === '') return fail(start, 'an empty reference')
  if (inner.length > REFERENCE_CHARS_MAX) {
    return fail(start, `a reference is longer than ${REFERENCE_CHARS_MAX} characters`)
  }
  const name = /[A-Za-z_][A-Za-z0-9_-]*/y
  const segment = /\.([A-Za-z_][A-Za-z0-9_-]*)|\.?\[(\d{1,6})\]|\.(\d{1,6})(?![A-Za-z0-9_-])|\['([^'\]]*)'\]/y
  const root = name.exec(inner)?.[0]
  if (root === undefined) return fail(start, `"${inner}" is no reference`, REFERENCE_HINT)
  if (!isRoot(root)) return fail(start, `"${root}" is unknown`, `a reference begins with ${ROOTS.join(', ')}`)
  const path: [Root, ...(string | number)[]] = [root]
  segment.lastIndex = root.length
  while (segment.lastIndex < inner.length) {
    const from: number = segment.lastIndex
    const match = segment.exec(inner)
    if (match === null) return fail(start + from, `"${inner}" is no reference`, REFERENCE_HINT)
    const place = match[2] ?? match[3]
    path.push(place === undefined ? (match[1] ?? match[4] ?? '') : Number(place))
  }
  return { ok: true, value: { text: inner, path, offset: start } }
}

const REFERENCE_HINT = "write names joined by dots: steps.build.outputs.path, inputs.files[0], inputs['a b']"

function isRoot(name: string): name is Root {
  return (ROOTS as readonly string[]).includes(name)
}

function fail(offset: number, message: string, hint?: string): { ok: false; problem: SyntaxProblem } {
  return { ok: false, problem: { offset, message, ...(hint === undefined ? {} : { hint }) } }
}
