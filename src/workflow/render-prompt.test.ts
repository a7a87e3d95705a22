import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../domain/json.ts'
import { findTemplateProblem, renderPrompt, TEMPLATE_CHARS_MAX } from './render-prompt.ts'

const VARIABLES: JsonObject = {
  ticket: {
    key: 'WEB-1',
    title: 'Fix {{ inputs.secret }} and {% raw %}',
    body: 'text',
    labels: ['a', 'b'],
    empty: '',
  },
  inputs: { secret: 's3cret', n: 2, none: null },
}

test.each([
  ['{{ ticket.key }}: {{ inputs.n }}', 'WEB-1: 2'],
  ['{% for label in ticket.labels %}- {{ label }}\n{% endfor %}', '- a\n- b\n'],
  ['{% if ticket.empty == "" %}nothing{% else %}something{% endif %}', 'nothing'],
  ['{{ ticket.labels | join: ", " | upcase }}', 'A, B'],
  ['{{ ticket.labels | json }}', '["a","b"]'],
  ['{% if ticket.missing %}x{% else %}y{% endif %}', 'y'],
  ['{{ ticket.missing | default: "none" }}', 'none'],
  ['{% assign x = inputs.n | plus: 1 %}{{ x }}', '3'],
  ['[{{ inputs.none }}]', '[]'],
])('%s renders as %s', (template, text) => {
  expect(renderPrompt({ template, variables: VARIABLES })).toEqual({ ok: true, text })
})

test('U14: template syntax in a ticket is text', () => {
  const result = renderPrompt({ template: '{{ ticket.title }}', variables: VARIABLES })
  expect(result).toEqual({ ok: true, text: 'Fix {{ inputs.secret }} and {% raw %}' })
})

describe('a mistake is a problem with its line and column, never an empty text', () => {
  test.each([
    ['a\nb {{ ticket.missing }}', 2, 6],
    ['{{ nobody }}', 1, 4],
    ['a\n\n{{ ticket.key | nofilter }}', 3, 1],
    ['{% nosuchtag %}', 1, 1],
    ['{% if true %}', 1, 1],
    ['{{ ticket.key ', 1, 1],
    ['{{ ticket.constructor.name }}', 1, 4],
    ['{{ ticket.__proto__ }}', 1, 4],
    ['{{ ticket.labels.toString }}', 1, 4],
  ])('%j', (template, line, column) => {
    const result = renderPrompt({ template, variables: VARIABLES })
    expect(result).toMatchObject({ ok: false, problem: { line } })
    expect(!result.ok && result.problem.column).toBe(column)
  })
})

test.each([
  "{% include 'x' %}",
  "{% render '/etc/passwd' %}",
  "{% layout 'x' %}",
  '{% block x %}{% endblock %}',
])('templates read no files: %s', (template) => {
  expect(renderPrompt({ template, variables: VARIABLES })).toMatchObject({ ok: false })
  expect(findTemplateProblem(template)).toBeDefined()
})

test.each(['{{ "now" | date: "%s" }}', '{{ ticket.body | strip_html }}', '{{ ticket.labels | sample }}'])(
  'filters that read the clock, draw lots or search without bound do not exist: %s',
  (template) => {
    expect(renderPrompt({ template, variables: VARIABLES })).toMatchObject({ ok: false })
  },
)

test.each([
  '{% for i in (1..1000000000) %}{{ i }}{% endfor %}',
  '{% assign x = "aaaaaaaaaa" %}{% for i in (1..60) %}{% assign x = x | append: x %}{% endfor %}{{ x }}',
  '{% for i in (1..100000) %}{% for j in (1..100000) %}{% endfor %}{% endfor %}',
])('work without end is stopped: %s', (template) => {
  const before = performance.now()
  expect(renderPrompt({ template, variables: VARIABLES })).toMatchObject({ ok: false })
  expect(performance.now() - before).toBeLessThan(5_000)
})

test('a ticket of a megabyte renders, a template beyond its bound does not', () => {
  const body = `${'<script '.repeat(65_536)}${' '.repeat(500_000)}x`
  const template = '{{ ticket.body | strip | rstrip | replace: "  ", " " | truncatewords: 5 }}'
  expect(renderPrompt({ template, variables: { ticket: { body } } })).toMatchObject({ ok: true })
  expect(renderPrompt({ template: '{{ ticket.body }}', variables: { ticket: { body } } })).toEqual({
    ok: true,
    text: body,
  })
  expect(findTemplateProblem('x'.repeat(TEMPLATE_CHARS_MAX + 1))).toBeDefined()
})

test('no template makes it throw', () => {
  const pieces = fc.constantFrom(
    '{{',
    '}}',
    '{%',
    '%}',
    ' ',
    'ticket.key',
    '|',
    'upcase',
    'if',
    'endif',
    'for x in ticket.labels',
    'endfor',
    '"',
    '-',
    'raw',
    'liquid',
    '\n',
    '#',
    'assign a = 1',
    'case',
    'when',
    '[',
    ']',
    '(1..3)',
    'constructor',
  )
  const templates = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 15 }).map((list) => list.join('')),
  )
  fc.assert(
    fc.property(templates, (template) => {
      const result = renderPrompt({ template, variables: VARIABLES })
      if (!result.ok) expect(result.problem.line).toBeGreaterThan(0)
    }),
    { numRuns: 400 },
  )
})
