import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseWorkflow } from '../../workflow/parse-workflow.ts'
import type { Workflow } from '../../workflow/workflow.ts'
import { createFindings } from './findings.ts'
import type { DurationUnit } from './step-context.ts'
import { toWorkflow } from './to-workflow.ts'

function convert(steps: unknown, durationUnit?: DurationUnit) {
  const findings = createFindings()
  const text = toWorkflow(
    {
      name: 'sample',
      version: '1',
      description: undefined,
      steps: typeof steps === 'string' ? steps : JSON.stringify(steps),
    },
    {
      durationUnit,
      toOurName: (_kind, name, version) => (version === undefined ? name : `${name}@${version}`),
    },
    findings,
  )
  return { text, ...findings }
}

/** The steps as Swarm's own parser reads them. */
function stepsOf(steps: unknown, durationUnit?: DurationUnit): Workflow['steps'] {
  const { text, problems } = convert(steps, durationUnit)
  expect(problems).toEqual([])
  const parsed = parseWorkflow(text ?? '')
  if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join('\n'))
  return parsed.workflow.steps
}

const problemsOf = (steps: unknown) => convert(steps).problems.join('\n')
const AGENT = { agent: 'coder' }

describe('steps', () => {
  test('are named by id, else by name, else by their place', () => {
    const steps = [
      { id: 'a_1', name: 'First', ...AGENT },
      { name: 'Zweiter Schritt', ...AGENT },
      { ...AGENT },
      { id: 4, ...AGENT },
    ]
    expect(stepsOf(steps).map(({ id, description }) => [id, description])).toEqual([
      ['a_1', 'First'],
      ['zweiter-schritt', undefined],
      ['step-3', undefined],
      ['step-4', undefined],
    ])
  })

  test('that would have one name are refused', () => {
    expect(
      problemsOf([
        { id: 'Build it', ...AGENT },
        { id: 'build-it', ...AGENT },
      ]),
    ).toContain('would both be called build-it')
  })

  test('run one after another when none says what it depends on, and side by side when one does', () => {
    const needs = (steps: unknown) => stepsOf(steps).map((step) => step.needs)
    expect(
      needs([
        { id: 'a', ...AGENT },
        { id: 'b', ...AGENT },
      ]),
    ).toEqual([[], ['a']])
    expect(
      needs([
        { id: 'a', ...AGENT },
        { id: 'b', ...AGENT, depends_on: [] },
      ]),
    ).toEqual([[], []])
  })

  test.each(['depends_on', 'dependsOn', 'needs', 'after', 'Depends-On'])(
    'may say what they depend on as %s',
    (key) => {
      const [, second] = stepsOf([
        { name: 'Build It', ...AGENT },
        { id: 'b', ...AGENT, [key]: 'Build It' },
      ])
      expect(second?.needs).toEqual(['build-it'])
    },
  )

  test.each([
    ['params', 'inputs'],
    ['with', 'args'],
  ])('that give %s and %s with different values are refused', (one, other) => {
    expect(problemsOf([{ ...AGENT, [one]: { a: 1 }, [other]: { a: 2 } }])).toContain('say different things')
    expect(problemsOf([{ ...AGENT, [one]: { a: 1 }, [other]: { a: 1 } }])).toBe('')
  })

  test('keep what they have no word for in the report', () => {
    expect(convert([{ id: 'a', ...AGENT, priority: 3, owner: 'x' }]).changes).toContain(
      'step a: left out "priority", "owner": there is nothing like it',
    )
  })

  test('in a circle, or that depend on nobody, are refused', () => {
    const { text } = convert([
      { id: 'a', ...AGENT, needs: 'b' },
      { id: 'b', ...AGENT, needs: 'a' },
    ])
    expect(parseWorkflow(text ?? '')).toMatchObject({ ok: false })
    expect(problemsOf([{ id: 'a', ...AGENT, needs: ['z'] }])).toContain('it depends on "z"')
  })

  test('of every kind become ours', () => {
    const steps = stepsOf([
      {
        id: 'agent',
        type: 'agent',
        agent: 'coder',
        agent_version: '1.0.0',
        prompt: 'Do {{ticket.description}}',
      },
      { id: 'run', type: 'command', command: ['npm', 'test'], env: { A: 1 } },
      { id: 'ask', type: 'approval', message: 'Go?' },
      {
        id: 'http',
        type: 'webhook',
        url: 'https://example.com/',
        method: 'post',
        payload: { a: '{{ticket.key}}' },
      },
      { id: 'child', type: 'sub_workflow', workflow: 'other' },
      { id: 'wait', type: 'delay', duration_seconds: 90 },
      { id: 'verify', type: 'verify' },
      { id: 'pr', type: 'pull_request' },
    ])
    expect(steps).toMatchObject([
      { kind: 'agent', agent: 'coder@1.0.0', prompt: { template: 'Do {{ ticket.body }}' } },
      { kind: 'run', command: ['npm', 'test'], env: { A: '1' } },
      { kind: 'approve', prompt: 'Go?' },
      { kind: 'http', method: 'POST', body: { a: '${ticket.key}' } },
      { kind: 'workflow', workflow: 'other' },
      { kind: 'wait', until: { for: '1m30s' } },
      { kind: 'verify' },
      { kind: 'pull-request' },
    ])
  })

  test.each([
    [[{ id: 'a', type: 'parallel', steps: [] }], 'its type "parallel" is unknown'],
    [[{ id: 'a' }], 'it does not say what it is'],
    [[{ id: 'a', agent: '' }], 'it does not name its agent'],
    [[{ id: 'a', ...AGENT, with: 'x' }], 'what it is given is no object'],
    [[{ id: 'a', ...AGENT, if: { a: 1 } }], 'its condition is no text'],
    ['{"steps": 1}', 'its steps are no list of objects'],
    ['[1, null]', 'its steps are no list of objects'],
    ['[]', 'it has 0 steps'],
    ['null', 'its steps are no list of objects'],
    ['{', 'are not valid JSON'],
    [`${'['.repeat(50_000)}${']'.repeat(50_000)}`, 'nested deeper than 24 levels'],
    [Array.from({ length: 201 }, () => AGENT), 'it has 201 steps'],
  ])('that cannot be understood are refused: %#', (steps, problem) => {
    expect(problemsOf(steps)).toContain(problem)
  })
})

describe('times', () => {
  test('without a unit need one, with one they keep it', () => {
    expect(problemsOf([{ ...AGENT, timeout: 300 }])).toContain('give --duration-unit')
    expect(stepsOf([{ ...AGENT, timeout: 300 }], 's')[0]?.timeoutMs).toBe(300_000)
    expect(stepsOf([{ ...AGENT, timeout_ms: 1_500 }])[0]?.timeoutMs).toBe(1_500)
    expect(stepsOf([{ ...AGENT, timeout: '10m' }])[0]?.timeoutMs).toBe(600_000)
    expect(problemsOf([{ ...AGENT, timeout: -1 }])).toContain('is no duration')
  })

  test.each([
    [{ max_retries: 2 }, 3],
    [{ retries: 0 }, 1],
    [{ max_attempts: 4 }, 4],
    [{ retry: { max_attempts: 2, backoff: 'exponential' } }, 2],
    [{ retry: { max: 5, delay_ms: 100 } }, 6],
    [{ retry: false }, 1],
    [{ retries: 4_000 }, 101],
  ])('a retry of %j makes %i attempts', (retry, attemptCountMax) => {
    expect(stepsOf([{ ...AGENT, ...retry }])[0]?.retry?.attemptCountMax).toBe(attemptCountMax)
  })
})

describe('references', () => {
  const said = (message: string) => {
    const steps = [
      { name: 'Build It', ...AGENT },
      { id: 'b', agent: 'echo', needs: [], params: { message } },
    ]
    const step = stepsOf(steps)[1]
    return { message: step?.kind === 'agent' ? step.with.message : undefined, needs: step?.needs }
  }

  test.each([
    '{{steps.Build It.outputs.path}}',
    '{{ steps["Build It"].output.path }}',
    "${steps['Build It'].result.path}",
    '${{ steps.build-it.outputs.path }}',
    '{{build-it.outputs.path}}',
  ])('%s means the same, and makes the step wait for the other', (message) => {
    expect(said(message)).toEqual({ message: '${steps.build-it.outputs.path}', needs: ['build-it'] })
  })

  test.each([
    ['{{task.description}} {{item}}', undefined],
    ['{{unknown.thing}}', 'cannot be converted'],
    ['{{steps.nobody.outputs.x}}', 'there is no step "nobody"'],
    ['{{ process.env.HOME }}', 'cannot be converted'],
    ['{{steps.Build It.outputs.x | upper}}', 'cannot be converted'],
    ['$${{ticket.title}} and $', undefined],
    ['$$${ticket.title}', 'a $ right before'],
  ])('%s: %s', (message, problem) => {
    const { problems } = convert([
      { name: 'Build It', ...AGENT },
      { agent: 'echo', params: { message } },
    ])
    if (problem === undefined && !message.startsWith('$$')) expect(problems).toEqual([])
    else if (problem !== undefined) expect(problems.join()).toContain(problem)
  })

  test('text that looks like the beginning of one stays text', () => {
    expect(said('costs ${ or {{').message).toBe('costs $${ or {{')
  })

  test('U14: a line for a shell is never given a value from outside', () => {
    expect(problemsOf([{ command: 'echo {{ticket.title}}' }])).toContain('could be run')
    expect(problemsOf([{ command: 'echo ${{ ticket.title }}' }])).toContain('could be run')
    expect(stepsOf([{ command: 'echo ${HOME} && true' }])).toMatchObject([
      { kind: 'run', command: ['sh', '-c', 'echo $${HOME} && true'] },
    ])
  })
})

describe('conditions', () => {
  test.each([
    ["{{steps.a.status}} === 'completed'", "steps.a.status=='succeeded'"],
    [
      "steps.a.outputs.ok == true && !(ticket.type == 'docs')",
      "steps.a.outputs.ok == true and not (ticket.type == 'docs')",
    ],
    ["'{{steps.a.outputs.kind}}' == 'x' || always()", "steps.a.outputs.kind == 'x' or always"],
  ])('%s is %s', (condition, ours) => {
    const [, step] = stepsOf([
      { id: 'a', ...AGENT },
      { id: 'b', ...AGENT, condition },
    ])
    expect(step?.if?.replaceAll(/ +/g, ' ').replaceAll(' == ', '==')).toBe(ours.replaceAll(' == ', '=='))
  })

  test('that are another language are refused by the check of the workflow', () => {
    const { text } = convert([{ id: 'a', ...AGENT, condition: 'eval("1")' }])
    expect(parseWorkflow(text ?? '').ok).toBe(false)
  })
})

test('U14: any JSON becomes a workflow that says nothing else, or is refused; it never throws', () => {
  const key = fc.oneof(
    fc.constantFrom(
      'id',
      'name',
      'type',
      'agent',
      'command',
      'needs',
      'with',
      'if',
      'timeout',
      'retry',
      '__proto__',
      'for_each',
      'outputs',
      'prompt',
    ),
    fc.string(),
  )
  const value = fc.oneof(
    fc.jsonValue(),
    fc.string(),
    fc.constantFrom('coder', 'agent', '{{steps.a.outputs.b}}', '${x', '1m', 'a\n  kind: run'),
  )
  const step = fc.array(fc.tuple(key, value), { maxLength: 8 }).map((entries) => Object.fromEntries(entries))
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 5 }), (steps) => {
      const { text } = convert(steps, 's')
      if (text === undefined) return
      const parsed = parseWorkflow(text)
      if (parsed.ok) expect(parsed.workflow.steps).toHaveLength(steps.length)
    }),
    { numRuns: 1_000 },
  )
})
