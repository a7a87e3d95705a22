import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseWorkflow } from './parse-workflow.ts'
import { plan } from './planner.ts'
import type { RunState } from './run-state.ts'

const SHIPPED = ['linear', 'parallel', 'echo-chain', 'code-change'].map((name) =>
  readFileSync(new URL(`../registry/shipped/workflows/${name}.yaml`, import.meta.url), 'utf8'),
)

const RUN_COUNT = 400
/** Far more than needed: the machine may be busy */
const TIMEOUT_MS = 60_000

test(
  'no text makes it throw',
  () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), checkText), {
      numRuns: RUN_COUNT,
    })
  },
  TIMEOUT_MS,
)

test(
  'no mutilated workflow makes it throw, and what is accepted can be planned',
  () => {
    const snippets = fc.constantFrom(
      '\n',
      '  ',
      '\t',
      '- ',
      ': ',
      '{',
      '}',
      '[',
      ']',
      '"',
      "'",
      '|',
      '>',
      '&a ',
      '*a ',
      '!x ',
      '#',
      '---\n',
      '%',
      '?',
      '${',
      '}',
      '${steps.',
      '${item}',
      '__proto__: 1\n',
      'needs: [first]',
      'kind: wait',
      'if: not',
      'null',
      '~',
      '1e999',
      'for-each: [1, 2]',
      'on-failure: continue',
      '\0',
      '\u2028',
      '\ud800',
    )
    const edit = fc.record({
      at: fc.nat({ max: 2_000 }),
      length: fc.nat({ max: 40 }),
      text: fc.oneof(snippets, fc.string({ maxLength: 5 }), fc.constant('')),
    })
    fc.assert(
      fc.property(
        fc.constantFrom(...SHIPPED),
        fc.array(edit, { minLength: 1, maxLength: 5 }),
        (text, edits) => {
          let mutilated = text
          for (const { at, length, text: inserted } of edits) {
            const start = at % (mutilated.length + 1)
            mutilated = mutilated.slice(0, start) + inserted + mutilated.slice(start + length)
          }
          checkText(mutilated)
        },
      ),
      { numRuns: RUN_COUNT },
    )
  },
  TIMEOUT_MS,
)

test(
  'no value in the place of another makes it throw',
  () => {
    const keys = fc.constantFrom(
      'id',
      'kind',
      'needs',
      'if',
      'with',
      'retry',
      'timeout',
      'for-each',
      'max-parallel',
      'on-failure',
      'outputs',
      'agent',
      'command',
      'commands',
      'env',
      'prompt',
      'prompt-file',
      'deadline',
      'title',
      'url',
      'method',
      'headers',
      'body',
      'workflow',
      'for',
      'signal',
      'max',
      'backoff',
      'on',
      'type',
      'default',
      'required',
    )
    const words = fc.constantFrom(
      'agent',
      'run',
      'verify',
      'approve',
      'pull-request',
      'http',
      'workflow',
      'wait',
      'a',
      'b',
      '${inputs.x}',
      '${item}',
      '${steps.a.outputs.y}',
      '5s',
      'always',
      "steps.a.status == 'failed'",
      'true',
      3,
      true,
      null,
      'POST',
      'http://x',
    )
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        words,
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(keys, tie('value'), { maxKeys: 5 }),
      ),
    }))
    const step = fc.record(
      {
        id: fc.constantFrom('a', 'b', 'c'),
        kind: fc.constantFrom(
          'agent',
          'run',
          'verify',
          'approve',
          'pull-request',
          'http',
          'workflow',
          'wait',
        ),
        needs: fc.oneof(fc.constant([]), fc.constant(['a']), value),
        agent: words,
        command: fc.oneof(fc.array(words, { maxLength: 3 }), value),
        prompt: words,
        url: words,
        workflow: words,
        for: words,
        if: words,
        'for-each': value,
        with: value,
        retry: value,
      },
      { requiredKeys: ['id', 'kind'] },
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(step, value), { maxLength: 4 }), value, (steps, inputs) => {
        checkText(JSON.stringify({ name: 'w', version: '1', inputs, steps }))
        checkText(JSON.stringify({ name: 'w', version: '1', inputs: { x: 'string' }, steps }))
      }),
      { numRuns: RUN_COUNT },
    )
  },
  TIMEOUT_MS,
)

/** Either a workflow that can be planned, or errors whose places lie in the text. */
function checkText(text: string): void {
  const parsed = parseWorkflow(text)
  if (parsed.ok) {
    expect(JSON.parse(JSON.stringify(parsed.workflow))).toEqual(parsed.workflow)
    expect(plan(parsed.workflow, STATE, { now: 0, slots: 2 }).length).toBeGreaterThan(0)
    return
  }
  expect(parsed.errors.length).toBeGreaterThan(0)
  expect(parsed.errors.length).toBeLessThanOrEqual(50)
  const lines = text.split('\n')
  const misplaced = parsed.errors.filter(({ line, column, message }) => {
    const lengthOfLine = lines[line - 1]?.length ?? -1
    return message === '' || line < 1 || column < 1 || column > lengthOfLine + 1
  })
  expect(misplaced).toEqual([])
}

const STATE: RunState = {
  inputs: { x: 'x' },
  ticket: { id: 't', key: 'WEB-1', title: 'Title', body: '', type: '', priority: 3, labels: [] },
  project: { id: 'p', key: 'WEB', name: 'Web', repositoryUrl: null, defaultBranch: 'main', checks: [] },
  run: { id: 'r', number: 1, branch: null, agent: null, feedback: null },
  instances: [],
}
