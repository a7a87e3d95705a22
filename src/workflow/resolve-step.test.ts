import { describe, expect, test } from 'vitest'
import type { Json } from '../domain/json.ts'
import type { Scope } from './expression.ts'
import { resolveStep } from './resolve-step.ts'
import type { Step } from './workflow.ts'

const COMMON = { id: 'a', needs: [], onFailure: 'fail' } as const
const SCOPE: Scope = {
  inputs: {
    text: 'it',
    n: 3,
    none: null,
    list: ['npm', 'test', 7],
    nul: 'a\0b',
    lines: 'a\r\nX: y',
    url: 'http://host/x',
    file: 'file:///etc/passwd',
    time: '5m',
    empty: [],
    object: { command: ['x'] },
  },
  project: { checks: [['npm', 'test'], { name: 'lint', command: ['npm', 'run', 'lint'] }] },
}

describe('run', () => {
  test('arguments stay arguments, whatever is in them', () => {
    const hostile = '; rm -rf / $(id) `id` "\'\n'
    const step: Step = {
      ...COMMON,
      kind: 'run',
      command: ['echo', '${ticket.title}', '${inputs.n}'],
      env: { A: 'x${inputs.n}' },
    }
    expect(resolveStep(step, { ...SCOPE, ticket: { title: hostile } })).toEqual({
      ok: true,
      work: { kind: 'run', command: ['echo', hostile, '3'], env: { A: 'x3' } },
    })
  })

  test('a whole command may come from an input', () => {
    expect(run('${inputs.list}')).toMatchObject({ work: { command: ['npm', 'test', '7'] } })
  })

  test.each([
    ['a NUL character', ['echo', '${inputs.nul}'], 'NUL'],
    ['a list as an argument', ['echo', '${inputs.list}'], 'must be text'],
    ['null as an argument', ['echo', '${inputs.none}'], 'must be text'],
    ['an empty list', '${inputs.empty}', 'names no program'],
    ['an empty program', ['', 'x'], 'names no program'],
    ['text', '${inputs.text}', 'must be a list'],
  ])('%s is refused', (_name, command, why) => {
    const result = run(command)
    expect(result).toMatchObject({ ok: false, reason: 'input_invalid' })
    expect(!result.ok && result.message).toContain(why)
  })

  test('a NUL character in the environment is refused', () => {
    const step: Step = { ...COMMON, kind: 'run', command: ['x'], env: { A: '${inputs.nul}' } }
    expect(resolveStep(step, SCOPE)).toMatchObject({ ok: false, message: 'env.A holds a NUL character' })
  })
})

describe('U7: verification fails closed', () => {
  test('the checks of the project are its commands', () => {
    expect(verify('${project.checks}')).toEqual({
      ok: true,
      work: {
        kind: 'verify',
        commands: [
          ['npm', 'test'],
          ['npm', 'run', 'lint'],
        ],
      },
    })
  })

  test.each<[string, Json]>([
    ['no checks', []],
    ['checks that are none', 'npm test'],
    ['an empty command', [[]]],
    ['a check without a command', [{ name: 'x' }]],
    ['null', null],
  ])('%s is never a pass', (_name, checks) => {
    expect(verify('${project.checks}', { project: { checks } })).toMatchObject({
      ok: false,
      reason: 'input_invalid',
    })
  })

  test('a project without checks is unresolved', () => {
    expect(verify('${project.checks}', { project: {} })).toMatchObject({
      ok: false,
      reason: 'reference_unresolved',
    })
  })
})

describe('http', () => {
  const http = (url: string, headers: Record<string, string> = {}) =>
    resolveStep({ ...COMMON, kind: 'http', method: 'POST', url, headers, body: { n: '${inputs.n}' } }, SCOPE)

  test('a request with its types', () => {
    expect(http('${inputs.url}', { 'X-N': '${inputs.n}' })).toEqual({
      ok: true,
      work: { kind: 'http', method: 'POST', url: 'http://host/x', headers: { 'X-N': '3' }, body: { n: 3 } },
    })
  })

  test.each(['${inputs.file}', '${inputs.text}', '${inputs.none}'])('%s is no address', (url) => {
    expect(http(url)).toMatchObject({ ok: false, reason: 'input_invalid' })
  })

  test('a line break in a header is refused', () => {
    expect(http('http://x', { A: '${inputs.lines}' })).toMatchObject({ ok: false, reason: 'input_invalid' })
  })
})

describe('other kinds', () => {
  test('wait for a duration that an input gives, or a signal', () => {
    const wait = (until: { for: string } | { signal: string }) =>
      resolveStep({ ...COMMON, kind: 'wait', until }, SCOPE)
    expect(wait({ for: '${inputs.time}' })).toEqual({ ok: true, work: { kind: 'wait', forMs: 300_000 } })
    expect(wait({ for: '${inputs.text}' })).toMatchObject({ ok: false, reason: 'input_invalid' })
    expect(wait({ signal: 'deploy-${inputs.n}' })).toEqual({
      ok: true,
      work: { kind: 'wait', signal: 'deploy-3' },
    })
  })

  test('a pull request has only the texts that the workflow gives', () => {
    const step: Step = { ...COMMON, kind: 'pull-request', title: 'do ${inputs.text}' }
    expect(resolveStep(step, SCOPE)).toEqual({ ok: true, work: { kind: 'pull-request', title: 'do it' } })
  })

  test('an approval asks with its references resolved', () => {
    const step: Step = { ...COMMON, kind: 'approve', prompt: 'ship ${inputs.n}?', deadlineMs: 5 }
    expect(resolveStep(step, SCOPE)).toEqual({
      ok: true,
      work: { kind: 'approve', prompt: 'ship 3?', deadlineMs: 5 },
    })
  })

  test('a child is given inputs with their types', () => {
    const step: Step = { ...COMMON, kind: 'workflow', workflow: 'child', with: { n: '${inputs.n}' } }
    expect(resolveStep(step, SCOPE)).toEqual({
      ok: true,
      work: { kind: 'workflow', workflow: 'child', with: { n: 3 } },
    })
  })

  test('the name of an agent is text', () => {
    const agent = (name: string) => resolveStep({ ...COMMON, kind: 'agent', agent: name, with: {} }, SCOPE)
    expect(agent('${inputs.text}')).toEqual({ ok: true, work: { kind: 'agent', agent: 'it', with: {} } })
    expect(agent('${inputs.none}')).toMatchObject({ ok: false, reason: 'input_invalid' })
    expect(agent('${inputs.missing}')).toMatchObject({ ok: false, reason: 'reference_unresolved' })
  })

  test('a prompt is handed on as it is: its template is rendered when the attempt starts', () => {
    const step: Step = {
      ...COMMON,
      kind: 'agent',
      agent: 'x',
      with: {},
      prompt: { template: '{{ ticket.key }} ${x}' },
    }
    expect(resolveStep(step, SCOPE)).toMatchObject({
      work: { prompt: { template: '{{ ticket.key }} ${x}' } },
    })
  })
})

function run(command: string | readonly string[]) {
  return resolveStep({ ...COMMON, kind: 'run', command, env: {} }, SCOPE)
}

function verify(commands: string, scope: Scope = SCOPE) {
  return resolveStep({ ...COMMON, kind: 'verify', commands }, scope)
}
