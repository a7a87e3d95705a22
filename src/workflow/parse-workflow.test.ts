import { describe, expect, test } from 'vitest'
import type { Catalogue } from './catalogue.ts'
import { parseWorkflow } from './parse-workflow.ts'
import { TEXT_CHARS_MAX } from './positioned-yaml.ts'
import { formatWorkflowError } from './workflow-error.ts'

const FULL = `
name: full
version: 1.10
description: Everything once
inputs:
  who: { type: string, default: coder, description: An agent }
  files: { type: array, required: true }
  short: number
done-when: opened
limits: { parallel: 4 }
steps:
  - id: work
    kind: agent
    description: Does it
    agent: \${inputs.who}
    with: { text: "for \${ticket.key}", n: 1.5, deep: { list: [true, null] } }
    prompt: "Do {{ ticket.title }}"
    outputs: { summary: string }
    retry: { max: 2, backoff: 5s, backoff-max: 1m, on: [agent, model] }
    timeout: 1h30m
    on-failure: skip-dependents
  - id: each
    kind: run
    needs: work
    if: steps.work.status == 'succeeded' and item != ''
    for-each: \${inputs.files}
    max-parallel: 2
    command: [wc, -l, "\${item}", 1.10, true]
    env: { LANG: C, COUNT: 3 }
  - { id: check, kind: verify, needs: [each] }
  - { id: ask, kind: approve, needs: [check], prompt: "\${steps.work.outputs.summary}?", deadline: 2d }
  - { id: pr, kind: pull-request, needs: [ask], title: "T", body: "B", base: main }
  - { id: call, kind: http, needs: [pr], method: POST, url: "https://x/\${steps.pr.outputs.number}", headers: { A: b }, body: { a: 1 } }
  - { id: sub, kind: workflow, workflow: other, with: { a: 1 } }
  - { id: nap, kind: wait, for: 10m }
  - { id: sig, kind: wait, signal: go.now, timeout: 1d }
outputs:
  number: \${steps.pr.outputs.number}
`

test('every part of the language is read', () => {
  const parsed = parseWorkflow(FULL)
  expect(parsed).toEqual({
    ok: true,
    workflow: {
      name: 'full',
      version: '1.10',
      description: 'Everything once',
      inputs: {
        who: { type: 'string', required: false, default: 'coder', description: 'An agent' },
        files: { type: 'array', required: true },
        short: { type: 'number', required: false },
      },
      doneWhen: 'opened',
      limits: { parallel: 4 },
      outputs: { number: '${steps.pr.outputs.number}' },
      steps: [
        {
          id: 'work',
          kind: 'agent',
          description: 'Does it',
          needs: [],
          agent: '${inputs.who}',
          with: { text: 'for ${ticket.key}', n: 1.5, deep: { list: [true, null] } },
          prompt: { template: 'Do {{ ticket.title }}' },
          outputs: { summary: 'string' },
          retry: { attemptCountMax: 3, backoffMs: 5_000, backoffMaxMs: 60_000, on: ['agent', 'model'] },
          timeoutMs: 5_400_000,
          onFailure: 'skip-dependents',
        },
        {
          id: 'each',
          kind: 'run',
          needs: ['work'],
          if: "steps.work.status == 'succeeded' and item != ''",
          forEach: '${inputs.files}',
          maxParallel: 2,
          command: ['wc', '-l', '${item}', '1.10', 'true'],
          env: { LANG: 'C', COUNT: '3' },
          onFailure: 'fail',
        },
        { id: 'check', kind: 'verify', needs: ['each'], commands: '${project.checks}', onFailure: 'fail' },
        {
          id: 'ask',
          kind: 'approve',
          needs: ['check'],
          prompt: '${steps.work.outputs.summary}?',
          deadlineMs: 172_800_000,
          onFailure: 'fail',
        },
        {
          id: 'pr',
          kind: 'pull-request',
          needs: ['ask'],
          title: 'T',
          body: 'B',
          base: 'main',
          onFailure: 'fail',
        },
        {
          id: 'call',
          kind: 'http',
          needs: ['pr'],
          method: 'POST',
          url: 'https://x/${steps.pr.outputs.number}',
          headers: { A: 'b' },
          body: { a: 1 },
          onFailure: 'fail',
        },
        { id: 'sub', kind: 'workflow', needs: [], workflow: 'other', with: { a: 1 }, onFailure: 'fail' },
        { id: 'nap', kind: 'wait', needs: [], until: { for: '10m' }, onFailure: 'fail' },
        {
          id: 'sig',
          kind: 'wait',
          needs: [],
          until: { signal: 'go.now' },
          timeoutMs: 86_400_000,
          onFailure: 'fail',
        },
      ],
    },
  })
})

test('a parsed workflow is plain data: it survives JSON', () => {
  const parsed = parseWorkflow(FULL)
  expect(JSON.parse(JSON.stringify(parsed))).toEqual(parsed)
})

test('done-when is merged with a pull request and finished without one', () => {
  const doneWhen = (step: string) => {
    const parsed = parseWorkflow(`name: w\nversion: 1\nsteps:\n  - ${step}`)
    return parsed.ok && parsed.workflow.doneWhen
  }
  expect(doneWhen('{ id: a, kind: pull-request }')).toBe('merged')
  expect(doneWhen('{ id: a, kind: run, command: [x] }')).toBe('finished')
})

const CATALOGUE: Catalogue = {
  agents: new Map([
    [
      'echo',
      {
        inputs: {
          type: 'object',
          properties: { message: { type: 'string' } },
          required: ['message'],
          additionalProperties: false,
        },
        outputs: { type: 'object', properties: { message: { type: 'string' } }, additionalProperties: false },
      },
    ],
    ['coder', {}],
  ]),
  workflows: new Map([
    [
      'child',
      {
        inputs: { n: { type: 'number', required: true }, s: { type: 'string', required: false } },
        outputs: ['sum'],
      },
    ],
  ]),
}

/** The errors of the steps (or the whole text), as a person sees them. */
function errorsOf(text: string): readonly string[] {
  const parsed = parseWorkflow(text, { file: 'f', catalogue: CATALOGUE })
  return parsed.ok ? [] : parsed.errors.map(formatWorkflowError)
}

/** The first step is line 4. */
function errorsOfSteps(...steps: string[]): readonly string[] {
  return errorsOf(`name: w\nversion: 1\nsteps:\n${steps.map((step) => `  - ${step}`).join('\n')}`)
}

describe('the text as a whole', () => {
  test.each([
    ['an empty file', '', ['f:1:1: the file is empty (a workflow has name, version and steps)']],
    ['only a comment', '# x\n', ['f:1:1: the file is empty (a workflow has name, version and steps)']],
    ['a list', '- a', ['f:1:1: the workflow must be a mapping, this is a list']],
    ['text', 'hello', ['f:1:1: the workflow must be a mapping, this is text']],
    [
      'a tab',
      'name: w\n\tversion: 1',
      ['f:2:1: not valid YAML: Tabs are not allowed as indentation (indent with spaces)'],
    ],
    ['two documents', 'name: w\n---\nname: x', ['f:2:1: a file holds one workflow (give each its own file)']],
    [
      'a directive',
      '%YAML 1.1\n---\nname: w',
      ['f:1:1: YAML directives (%…) are not allowed (delete the line)'],
    ],
    [
      'an alias',
      'name: &a w\nversion: *a',
      [
        'f:1:10: YAML anchors (&name) are not allowed (delete the anchor)',
        'f:2:10: YAML aliases (*name) are not allowed (write the value out)',
      ],
    ],
    [
      'a tag',
      'name: !!str w',
      ['f:1:13: YAML tags (tag:yaml.org,2002:str) are not allowed (delete the tag)'],
    ],
    ['a tag of our own', 'name: !x w', ['f:1:10: YAML tags (!x) are not allowed (delete the tag)']],
    ['a key twice', 'name: w\nname: v', ['f:2:1: the key "name" stands here twice (delete one of them)']],
    ['a hostile key', '__proto__: {}', ['f:1:1: "__proto__" is not allowed as a key']],
    ['a list as a key', '[a]: 1', ['f:1:1: a key must be plain text']],
    [
      'a number that cannot be kept',
      'name: 12345678901234567890',
      ['f:1:7: the number 12345678901234567890 cannot be kept exactly (write it in quotes)'],
    ],
  ])('%s', (_name, text, errors) => {
    expect(errorsOf(text)).toEqual(errors)
  })

  test('keys that lack or are not known, and values that do not fit', () => {
    expect(errorsOf('name: My Flow\nverson: 1\nlimits: { parallel: 0 }\nsteps: []')).toEqual([
      'f:1:1: the workflow lacks "version"',
      'f:1:7: "My Flow" cannot be the name of a workflow (write small letters, digits, - and _)',
      'f:2:1: unknown key "verson" in the workflow (did you mean "version"?)',
      'f:3:21: parallel must be a whole number from 1 to 1000',
      'f:4:8: a workflow needs at least one step',
    ])
  })

  test('inputs', () => {
    const text = `name: w
version: 1
inputs:
  a: { type: strin }
  b: { type: number, default: x }
  c: { type: string, default: "\${ticket.key}" }
  d: { default: 1 }
  e e: string
steps:
  - { id: a, kind: run, command: [x] }`
    expect(errorsOf(text)).toEqual([
      'f:4:14: "strin" cannot be the type of an input (did you mean "string"?)',
      'f:5:31: the default is no number',
      'f:6:31: a default holds no references (use the reference where the input is used)',
      'f:7:6: an input lacks "type"',
      'f:8:3: "e e" cannot be a name in inputs (write letters, digits, - and _)',
    ])
  })

  test('done-when that no step can bring about', () => {
    expect(
      errorsOf('name: w\nversion: 1\ndone-when: merged\nsteps: [{ id: a, kind: run, command: [x] }]'),
    ).toEqual([
      'f:3:12: done-when: merged needs a step of kind pull-request (done-when: finished ends the ticket with the run)',
    ])
  })

  test('hostile sizes are refused, not worked on', () => {
    expect(errorsOf(`# ${'x'.repeat(TEXT_CHARS_MAX)}`)).toEqual([
      `f:1:1: the file is longer than ${TEXT_CHARS_MAX} characters`,
    ])
    const step = (id: number) => `{ id: s${id}, kind: run, command: [x] }`
    const many = (count: number) => errorsOfSteps(...Array.from({ length: count }, (_, id) => step(id)))
    expect(many(200)).toEqual([])
    expect(many(201)).toEqual(['f:4:3: a workflow has at most 200 steps'])
    const wide = Array.from({ length: 30_000 }, () => '1').join(',')
    expect(errorsOfSteps(`{ id: a, kind: agent, agent: coder, with: { l: [${wide}] } }`)[0]).toContain(
      '20000 values',
    )
    const deep = `${'['.repeat(40)}${']'.repeat(40)}`
    expect(errorsOfSteps(`{ id: a, kind: agent, agent: coder, with: { l: ${deep} } }`)[0]).toContain(
      'deeper than 32',
    )
    for (const open of ['[', '{', '- ', '? ', '{a: ', '"', '&a ', '!a ', '|\n', '*a ']) {
      const errors = errorsOf(open.repeat(Math.floor(32_768 / open.length)))
      expect(errors.length).toBeGreaterThan(0)
      expect(errors.length).toBeLessThanOrEqual(50)
    }
  }, 60_000)

  test('a billion laughs are not expanded', () => {
    const lines = ['a: &a [x, x, x, x, x, x, x, x, x]']
    for (const [index, name] of [...'bcdefghij'].entries()) {
      const before = 'abcdefghij'[index]
      lines.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(', ')}]`)
    }
    expect(errorsOf(lines.join('\n'))[0]).toContain('anchors')
  })
})

describe('steps', () => {
  test.each<[string, string[], string[]]>([
    ['no id', ['{ kind: run, command: [x] }'], ['f:4:5: the step lacks "id"']],
    ['a step that is text', ['build'], ['f:4:5: a step must be a mapping, this is text']],
    [
      'a hostile id',
      ['{ id: "a b", kind: run, command: [x] }'],
      ['f:4:11: "a b" cannot be the id of a step (write small letters, digits, - and _)'],
    ],
    [
      'an unknown kind',
      ['{ id: a, kind: rnu }'],
      ['f:4:20: "rnu" cannot be the kind of a step (did you mean "run"?)'],
    ],
    ['no kind', ['{ id: a, command: [x] }'], ['f:4:5: the step lacks "kind" (did you mean "kind: run"?)']],
    [
      'a kind mistyped',
      ['{ id: a, knd: run }'],
      ['f:4:5: the step lacks "kind" (did you mean "kind" where "knd" stands?)'],
    ],
    [
      'an unknown key',
      ['{ id: a, kind: run, command: [x], need: [b] }'],
      ['f:4:39: unknown key "need" in the step "a" (did you mean "needs"?)'],
    ],
    [
      "another kind's key",
      ['{ id: a, kind: verify, command: [x] }'],
      ['f:4:28: unknown key "command" in the step "a" (did you mean "commands"?)'],
    ],
    [
      'a shell line',
      ['{ id: a, kind: run, command: npm test }'],
      [
        'f:4:34: command must be a list, this is text (write a list of arguments: [npm, test]; there is no shell)',
      ],
    ],
    [
      'no command',
      ['{ id: a, kind: run }'],
      ['f:4:5: the step "a" lacks "command" (write a list of arguments: [npm, test]; there is no shell)'],
    ],
    ['an empty command', ['{ id: a, kind: run, command: [] }'], ['f:4:34: command is empty']],
    [
      'our own variables',
      ['{ id: a, kind: run, command: [x], env: { SWARM_RUN_TOKEN: x } }'],
      ['f:4:46: "SWARM_RUN_TOKEN" cannot be a name in env (letters, digits and _; SWARM_… is ours)'],
    ],
    [
      'nothing to verify',
      ['{ id: a, kind: verify, commands: [] }'],
      ['f:4:38: a verify step without a command proves nothing'],
    ],
    [
      'a wait for nothing',
      ['{ id: a, kind: wait }'],
      ['f:4:5: a wait step has either for or signal (for: 10m waits for time, signal: name for a signal)'],
    ],
    [
      'a wait for both',
      ['{ id: a, kind: wait, for: 1s, signal: x }'],
      ['f:4:5: a wait step has either for or signal (for: 10m waits for time, signal: name for a signal)'],
    ],
    [
      'a wait for no time',
      ['{ id: a, kind: wait, for: 0s }'],
      ['f:4:31: for must not be zero (write a duration such as 500ms, 30s, 10m, 2h or 1h30m, at most 365d)'],
    ],
    [
      'a timeout without a unit',
      ['{ id: a, kind: run, command: [x], timeout: 5 }'],
      [
        'f:4:48: timeout must be a duration (write a duration such as 500ms, 30s, 10m, 2h or 1h30m, at most 365d)',
      ],
    ],
    [
      'max-parallel alone',
      ['{ id: a, kind: run, command: [x], max-parallel: 2 }'],
      ['f:4:39: max-parallel needs for-each (the limit of the whole run is limits.parallel)'],
    ],
    [
      'retry',
      [
        '{ id: a, kind: run, command: [x], retry: { max: -1, on: [verification, agnt], backoff: 5m, backoff-max: 1s } }',
      ],
      [
        'f:4:53: max must be a whole number from 0 to 100',
        'f:4:62: a failure of class "verification" is never retried within a run (known: infrastructure, agent, model, timeout)',
        'f:4:76: "agnt" cannot be a class of failures (did you mean "agent"?)',
        'f:4:109: backoff-max is shorter than backoff',
      ],
    ],
    [
      'a prompt file outside',
      ['{ id: a, kind: agent, agent: coder, prompt-file: ../../etc/passwd }'],
      [
        'f:4:54: "../../etc/passwd" cannot be prompt-file (a path inside .swarm/prompts/, such as implement.md)',
      ],
    ],
    [
      'two prompts',
      ['{ id: a, kind: agent, agent: coder, prompt: a, prompt-file: b.md }'],
      ['f:4:52: a step has either prompt or prompt-file'],
    ],
    [
      'a prompt with a mistake',
      ['{ id: a, kind: agent, agent: coder, prompt: "a\\n{{ x | nofilter }}" }'],
      [
        'f:4:49: line 2 of the prompt: undefined filter: nofilter (prompts are Liquid templates: {{ ticket.title }})',
      ],
    ],
  ])('%s', (_name, steps, errors) => {
    expect(errorsOfSteps(...steps)).toEqual(errors)
  })
})

describe('the graph', () => {
  const run = (id: string, needs = '[]') => `{ id: ${id}, kind: run, command: [x], needs: ${needs} }`

  test('an id that stands twice', () => {
    expect(errorsOfSteps(run('a'), run('a'))).toEqual([
      'f:5:11: the id "a" stands twice (give each step its own id)',
    ])
  })

  test('a need that does not exist, stands twice, or is the step itself', () => {
    expect(errorsOfSteps(run('build'), run('test', '[biuld]'))).toEqual([
      'f:5:50: there is no step "biuld" (did you mean "build"?)',
    ])
    expect(errorsOfSteps(run('a'), run('b', '[a, a]'))).toEqual(['f:5:50: "a" stands in needs twice'])
    expect(errorsOfSteps(run('a', '[a]'))).toEqual(['f:4:47: the step "a" needs itself'])
  })

  test('a cycle is printed once, and what waits behind it is unreachable', () => {
    expect(
      errorsOfSteps(run('a', '[c]'), run('b', '[a]'), run('c', '[b]'), run('d', '[c]'), run('e')),
    ).toEqual([
      'f:4:11: these steps need each other: a → c → b → a (take one of them out of the needs of the other)',
      'f:7:11: the step "d" can never run: it waits for "c", which is part of a cycle',
    ])
  })

  test('two cycles are two errors', () => {
    const errors = errorsOfSteps(run('a', '[b]'), run('b', '[a]'), run('c', '[d]'), run('d', '[c]'))
    expect(errors.map((error) => error.slice(0, 8))).toEqual(['f:4:11: ', 'f:6:11: '])
  })
})

describe('references and types', () => {
  test.each<[string, string[], string[]]>([
    [
      'a mistyped field',
      ['{ id: a, kind: approve, prompt: "${ticket.titel}" }'],
      ['4: ${ticket.titel} is unresolved: there is no "titel" (did you mean "title"?)'],
    ],
    [
      'an unknown root',
      ['{ id: a, kind: approve, prompt: "${env.HOME}" }'],
      ['4: "env" is unknown (a reference begins with inputs, ticket, project, run, steps, item, index)'],
    ],
    [
      'an unknown step',
      ['{ id: a, kind: approve, prompt: "${steps.b.outputs}" }', '{ id: bb, kind: verify }'],
      ['4: ${steps.b.outputs} is unresolved: there is no step "b" (did you mean "bb"?)'],
    ],
    [
      'a step that may not have ended',
      ['{ id: a, kind: approve, prompt: "${steps.b.status}" }', '{ id: b, kind: verify }'],
      [
        '4: ${steps.b.status} is unresolved: the step "b" may not have ended by then (add "b" to the needs of "a")',
      ],
    ],
    [
      'the step itself',
      ['{ id: a, kind: approve, prompt: "${steps.a.status}" }'],
      ['4: ${steps.a.status} is unresolved: a step cannot refer to itself'],
    ],
    [
      'item without for-each',
      ['{ id: a, kind: approve, prompt: "${item}" }'],
      ['4: ${item} is unresolved: "item" exists only in a step with for-each'],
    ],
    [
      'item in for-each itself',
      ['{ id: a, kind: approve, for-each: ["${item}"], prompt: x }'],
      ['4: ${item} is unresolved: "item" exists only in a step with for-each'],
    ],
    [
      'a field of an element',
      ['{ id: a, kind: approve, for-each: [{ name: x }, { name: y }], prompt: "${item.nmae}" }'],
      ['4: ${item.nmae} is unresolved: there is no "nmae" (did you mean "name"?)'],
    ],
    [
      'an output that the kind does not have',
      [
        '{ id: a, kind: run, command: [x] }',
        '{ id: b, kind: approve, needs: a, prompt: "${steps.a.outputs.code}" }',
      ],
      ['5: ${steps.a.outputs.code} is unresolved: there is no "code" (known: exitCode, stdout)'],
    ],
    [
      'an output that the agent does not have',
      [
        '{ id: a, kind: agent, agent: echo, with: { message: x } }',
        '{ id: b, kind: approve, needs: a, prompt: "${steps.a.outputs.mesage}" }',
      ],
      ['5: ${steps.a.outputs.mesage} is unresolved: there is no "mesage" (did you mean "message"?)'],
    ],
    [
      'an output that the author did not declare',
      [
        '{ id: a, kind: agent, agent: coder, outputs: { files: array } }',
        '{ id: b, kind: approve, needs: a, prompt: "${steps.a.outputs.file}" }',
      ],
      ['5: ${steps.a.outputs.file} is unresolved: there is no "file" (did you mean "files"?)'],
    ],
    [
      'an output that the child does not have',
      [
        '{ id: a, kind: workflow, workflow: child, with: { n: 1 } }',
        '{ id: b, kind: approve, needs: a, prompt: "${steps.a.outputs.summ}" }',
      ],
      ['5: ${steps.a.outputs.summ} is unresolved: there is no "summ" (did you mean "sum"?)'],
    ],
    [
      'the outputs of a for-each step are a list',
      [
        '{ id: a, kind: run, command: [x], for-each: [1] }',
        '{ id: b, kind: approve, needs: a, prompt: "${steps.a.outputs.stdout}" }',
      ],
      [
        '5: ${steps.a.outputs.stdout} is unresolved: an array has no "stdout" (pick an element with [0], or go through all with for-each)',
      ],
    ],
    [
      'what an object inherits',
      [
        '{ id: a, kind: agent, agent: coder }',
        '{ id: b, kind: approve, needs: a, prompt: "${steps.a.outputs.constructor}" }',
      ],
      ['5: ${steps.a.outputs.constructor} is unresolved: there is no "constructor"'],
    ],
    [
      'a reference that is not closed',
      ['{ id: a, kind: approve, prompt: "a ${ticket.key" }'],
      ['4: a reference that begins with ${ has no closing } (write $${ for the characters ${)'],
    ],
    [
      'a list where text is wanted',
      ['{ id: a, kind: run, command: [echo, "${ticket.labels}"] }'],
      ['4: this must be text, it is an array'],
    ],
    [
      'text where a list is wanted',
      ['{ id: a, kind: approve, for-each: "${ticket.title}", prompt: x }'],
      ['4: this must be an array, it is a string'],
    ],
    [
      'for-each over text',
      ['{ id: a, kind: approve, for-each: "x ${ticket.labels}", prompt: x }'],
      [
        '4: for-each must be an array, it is text (write a list, or nothing but a reference: ${inputs.files})',
      ],
    ],
    [
      'an address that is none',
      ['{ id: a, kind: http, url: "file:///etc/passwd" }'],
      ['4: this is no http address (write https://host/path)'],
    ],
  ])('%s', (_name, steps, errors) => {
    const text = `name: w\nversion: 1\nsteps:\n${steps.map((step) => `  - ${step}`).join('\n')}`
    const parsed = parseWorkflow(text, { file: 'f', catalogue: CATALOGUE })
    const found = parsed.ok ? [] : parsed.errors
    expect(found.map((error) => formatWorkflowError(error).replace(/^f:(\d):\d+/, '$1'))).toEqual(errors)
    for (const { line, column, message } of found) {
      const reference = /^\$\{(.*?)\} is unresolved/.exec(message)?.[1] ?? ''
      expect(
        text
          .split('\n')
          [line - 1]?.slice(column - 1)
          .startsWith(reference),
      ).toBe(true)
    }
  })

  test('a reference inside a block of text is found on its own line', () => {
    const text = `name: w
version: 1
steps:
  - id: a
    kind: approve
    prompt: |
      one \${ticket.key}
      two \${ticket.nope}
        three \${ticket.nope}
  - id: b
    kind: approve
    prompt: >-
      folded \${ticket.key}
      and \${ticket.gone}
  - id: c
    kind: approve
    prompt: "quoted \\"\${ticket.lost}\\""
`
    expect(errorsOf(text).map((error) => error.split(' is ')[0])).toEqual([
      'f:8:13: ${ticket.nope}',
      'f:9:17: ${ticket.nope}',
      'f:14:13: ${ticket.gone}',
      'f:17:25: ${ticket.lost}',
    ])
  })
})

describe('conditions', () => {
  test.each<[string, string, string]>([
    ['grammar', "steps.a.status = 'failed'", 'did you mean "=="?'],
    ['an unknown reference', 'ticket.titel', 'did you mean "title"?'],
    [
      'a status that does not exist',
      "steps.a.status == 'succeded'",
      'a step is never "succeded" (did you mean "succeeded"?)',
    ],
    ['types that never fit', 'ticket.priority == "high"', 'number == string cannot be compared'],
    ['no order', 'ticket.labels > 3', 'array > number cannot be compared'],
    ['no condition at all', 'ticket.title', 'a condition must be true or false, this is of type string'],
    ['text that contains a number', 'ticket.title contains 3', 'string contains number cannot be compared'],
    ['never true', 'false', 'the step "b" can never run: its condition is always false'],
    ['never true by its literals', "1 > 2 or 'a' == 'b'", 'can never run'],
    ['a failure that ends the run', "steps.a.status == 'failed'", 'can never run'],
    [
      'a failure that ends the run, in company',
      "ticket.priority > 1 and steps.a.status == 'failed'",
      'can never run',
    ],
  ])('%s', (_name, condition, message) => {
    const errors = errorsOfSteps(
      '{ id: a, kind: verify }',
      `{ id: b, kind: verify, needs: [a], if: ${JSON.stringify(condition)} }`,
    )
    expect(errors).toHaveLength(1)
    expect(errors[0]).toContain(message)
  })

  test.each([
    "steps.a.status == 'failed'",
    "steps.a.status != 'succeeded'",
    'always',
    "ticket.labels contains 'x' and ticket.priority <= 2",
    'run.branch == null',
    "steps.a.outputs.result == 'failed' or not (ticket.type == 'bug')",
  ])('%s may hold', (condition) => {
    const first = '{ id: a, kind: verify, on-failure: skip-dependents }'
    expect(
      errorsOfSteps(first, `{ id: b, kind: verify, needs: [a], if: ${JSON.stringify(condition)} }`),
    ).toEqual([])
  })

  test('a mistake in a folded condition is found on its line', () => {
    const text = `name: w
version: 1
steps:
  - id: a
    kind: verify
    if: >-
      ticket.title == 'a'
      and ticket.priority == 'b'`
    expect(errorsOf(text)).toEqual(['f:8:27: number == string cannot be compared: the types do not fit'])
  })
})

describe('what the catalogue knows', () => {
  test.each<[string, string, string[]]>([
    [
      'an unknown agent',
      '{ id: a, kind: agent, agent: ecoh }',
      ['there is no agent "ecoh" (did you mean "echo"?)'],
    ],
    [
      'no name for an agent',
      '{ id: a, kind: agent, agent: "../echo" }',
      ['"../echo" cannot be the name of an agent'],
    ],
    [
      'an input that lacks',
      '{ id: a, kind: agent, agent: echo }',
      ['the agent "echo" needs "message" in with'],
    ],
    [
      'an unknown input',
      '{ id: a, kind: agent, agent: echo, with: { message: x, mesage: y } }',
      ['the agent "echo" has no input "mesage" (did you mean "message"?)'],
    ],
    [
      'an input of another type',
      '{ id: a, kind: agent, agent: echo, with: { message: 3 } }',
      ['this must be a string, it is a number'],
    ],
    [
      'a reference of another type',
      '{ id: a, kind: agent, agent: echo, with: { message: "${run.number}" } }',
      ['this must be a string, it is a number'],
    ],
    ['a version of an agent', '{ id: a, kind: agent, agent: echo@1.0.0, with: { message: x } }', []],
    [
      'an unknown workflow',
      '{ id: a, kind: workflow, workflow: chld }',
      ['there is no workflow "chld" (did you mean "child"?)'],
    ],
    [
      'a workflow in itself',
      '{ id: a, kind: workflow, workflow: w }',
      ['"w" is this workflow (a workflow that runs itself would never end)'],
    ],
    [
      "a child's inputs",
      '{ id: a, kind: workflow, workflow: child, with: { s: 1, t: 2 } }',
      [
        'the workflow "child" needs "n" in with',
        'this must be a string, it is a number',
        'the workflow "child" has no input "t" (known: n, s)',
      ],
    ],
    ['a child with all it needs', '{ id: a, kind: workflow, workflow: child@2, with: { n: 1 } }', []],
  ])('%s', (_name, step, messages) => {
    expect(errorsOfSteps(step).map((error) => error.replace(/^f:\d+:\d+: /, ''))).toEqual(messages)
  })

  test('without a catalogue any agent and workflow may exist', () => {
    const text =
      'name: w\nversion: 1\nsteps: [{ id: a, kind: agent, agent: any }, { id: b, kind: workflow, workflow: any }]'
    expect(parseWorkflow(text)).toMatchObject({ ok: true })
  })

  test('the default of an input is checked where it names an agent', () => {
    const text = (agent: string) =>
      `name: w\nversion: 1\ninputs: { who: { type: string, default: ${agent} } }\nsteps: [{ id: a, kind: agent, agent: "\${inputs.who}" }]`
    expect(errorsOf(text('coder'))).toEqual([])
    expect(errorsOf(text('codr'))).toEqual(['f:4:38: there is no agent "codr" (did you mean "coder"?)'])
  })
})
