import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseManifest } from './parse-manifest.ts'

const GOOD = `name: sample
version: "1.2.3"
description: A sample
runtime: node
entry: src/main.ts
workspace: true
memory-mib: 256
timeout: 1m30s
network:
  hosts: [ "example.com:443", "*.example.org:80" ]
  models: "*"
capabilities: [ resume ]
inputs:
  type: object
  properties:
    name: { type: string }
outputs:
  type: object
`

function problemsOf(text: string): readonly string[] {
  const parsed = parseManifest(text, 'agent.yaml')
  return parsed.ok ? [] : parsed.problems
}

test('a manifest is read into typed values', () => {
  expect(parseManifest(GOOD, 'agent.yaml')).toEqual({
    ok: true,
    manifest: {
      name: 'sample',
      version: '1.2.3',
      description: 'A sample',
      runtime: 'node',
      entry: 'src/main.ts',
      workspace: true,
      memoryMib: 256,
      timeoutMs: 90_000,
      network: {
        hosts: [
          { host: 'example.com', port: 443 },
          { host: '*.example.org', port: 80 },
        ],
        models: '*',
      },
      capabilities: ['resume'],
      inputs: { type: 'object', properties: { name: { type: 'string' } } },
      outputs: { type: 'object' },
    },
  })
})

test('the manifest in the guide is one', () => {
  const guide = readFileSync(new URL('../../docs/guides/agent-packages.md', import.meta.url), 'utf8')
  const manifest = /```yaml\n([\s\S]*?)```/.exec(guide)?.[1] ?? ''
  expect(problemsOf(manifest)).toEqual([])
  expect(manifest).toContain('name: word-count')
})

test('what is left out has a default: no network, no workspace, no capability', () => {
  const short =
    'name: a\nversion: "1.0.0"\ndescription: d\nruntime: sh\nentry: run.sh\ninputs: {type: object}\noutputs: {type: object}\n'
  expect(parseManifest(short, 'agent.yaml')).toMatchObject({
    ok: true,
    manifest: { workspace: false, network: { hosts: [], models: [] }, capabilities: [], timeoutMs: 600_000 },
  })
})

describe('U22: each mistake has its line, its column and a hint', () => {
  test.each<[string, string, RegExp]>([
    [
      'an unknown key',
      GOOD.replace('runtime:', 'runtim:'),
      /^agent\.yaml:4:1: unknown key "runtim" \(did you mean "runtime"\?\)/m,
    ],
    [
      'an unknown key inside',
      GOOD.replace('  hosts:', '  host:'),
      /^agent\.yaml:10:3: unknown key "host" \(did you mean "hosts"\?\)/m,
    ],
    [
      'a version that is a number',
      GOOD.replace('"1.2.3"', '1.2'),
      /^agent\.yaml:2:1: version: write the version in quotes/m,
    ],
    ['an unknown runtime', GOOD.replace('node', 'perl'), /^agent\.yaml:4:1: runtime: /m],
    [
      'an entry that escapes',
      GOOD.replace('src/main.ts', '../main.ts'),
      /^agent\.yaml:5:1: entry: .*inside the package/m,
    ],
    ['an absolute entry', GOOD.replace('src/main.ts', '/bin/sh'), /^agent\.yaml:5:1: entry: /m],
    ['a wrong duration', GOOD.replace('1m30s', 'soon'), /^agent\.yaml:8:1: timeout: write a duration/m],
    [
      'a host without port',
      GOOD.replace('example.com:443', 'example.com'),
      /^agent\.yaml:10:\d+: network\.hosts\.0: .*with its port/m,
    ],
    ['a missing part', GOOD.replace('runtime: node\n', ''), /^agent\.yaml:1:1: runtime: /m],
    ['broken YAML', GOOD.replace('[ resume ]', '[ resume'), /^agent\.yaml:\d+:\d+: not valid YAML/m],
    ['an anchor', GOOD.replace('A sample', '&a A sample'), /^agent\.yaml:3:\d+: YAML anchors/m],
    [
      'inputs that are no object',
      GOOD.replace('inputs:\n  type: object', 'inputs:\n  type: array'),
      /^agent\.yaml:13:1: inputs is not a JSON Schema we take: it begins with "type: object"/m,
    ],
    [
      'a misspelt schema keyword',
      GOOD.replace('properties:', 'propertys:'),
      /^agent\.yaml:13:1: inputs is not .*unknown keyword: "propertys"/m,
    ],
    [
      'a schema elsewhere',
      GOOD.replace('{ type: string }', '{ $ref: "https://example.com/s.json" }'),
      /^agent\.yaml:16:5: inputs is not .*same schema only/m,
    ],
    ['an empty file', '', /^agent\.yaml:1:1: /m],
  ])('%s', (_name, text, expected) => {
    expect(problemsOf(text).join('\n')).toMatch(expected)
  })
})

describe('hostile manifests are bounded', () => {
  test('a schema that is too deep, too large or too long', () => {
    const deep = `${'{ properties: { a: '.repeat(14)}{}${' } }'.repeat(14)}`
    expect(problemsOf(GOOD.replace('{ type: string }', deep)).join()).toMatch(/nested deeper/)
    const wide = `{ ${Array.from({ length: 2_100 }, (_, i) => `k${i}: {}`).join(', ')} }`
    expect(problemsOf(GOOD.replace('{ type: string }', `{ properties: ${wide} }`)).join()).toMatch(
      /more than 2000 parts/,
    )
    expect(problemsOf(`${GOOD}# ${'x'.repeat(300_000)}`).join()).toMatch(/longer than/)
  })

  test('control characters and foreign slashes in the entry', () => {
    for (const entry of ['"a\\u0000b"', '"a\\nb"', '"a\\\\b"', '"./a"', '"a//b"', '"a/../b"']) {
      expect(problemsOf(GOOD.replace('src/main.ts', entry)).join(), entry).toMatch(/entry:/)
    }
  })
})
