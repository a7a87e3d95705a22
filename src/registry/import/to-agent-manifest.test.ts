import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseManifest } from '../parse-manifest.ts'
import { createFindings } from './findings.ts'
import { type ForeignAgent, toAgentManifest } from './to-agent-manifest.ts'

const AGENT: ForeignAgent = {
  name: 'sample',
  version: '1.0.0',
  description: 'A sample',
  runtime: 'node',
  capabilities: undefined,
  entry: undefined,
  files: [{ path: 'index.mjs' }, { path: 'lib/main.js' }],
}

function convert(changes: Partial<ForeignAgent> = {}) {
  const findings = createFindings()
  const text = toAgentManifest({ ...AGENT, ...changes }, findings)
  const parsed = text === undefined ? undefined : parseManifest(text, 'agent.yaml')
  return { ...findings, manifest: parsed?.ok === true ? parsed.manifest : undefined }
}

const filesOf = (...paths: string[]) => ({ files: paths.map((path) => ({ path })) })

test('the manifest asks for nothing that the row does not say', () => {
  expect(convert()).toMatchObject({
    changes: [],
    problems: [],
    manifest: {
      runtime: 'node',
      entry: 'index.mjs',
      workspace: false,
      capabilities: [],
      network: { hosts: [], models: [] },
    },
  })
})

test.each([
  ['nodejs', 'node', 'index.js'],
  ['Node:20-slim', 'node', 'main.ts'],
  ['typescript', 'node', 'agent.mts'],
  ['python', 'python3', 'main.py'],
  ['python3.11', 'python3', 'agent.py'],
  ['shell', 'bash', 'run.sh'],
  ['/bin/sh', 'sh', 'main.sh'],
  ['executable', 'exec', 'run'],
])('the runtime %s is %s, with %s as entry', (runtime, ours, path) => {
  const { manifest, changes } = convert({ runtime, ...filesOf(path) })
  expect(manifest).toMatchObject({ runtime: ours, entry: path })
  expect(changes.join()).toContain(`is now ${ours}`)
})

test.each(['docker', 'ruby', '', undefined, 'node; rm -rf /'])(
  'the runtime %s is refused with those that there are',
  (runtime) => {
    expect(convert({ runtime }).problems.join()).toContain('Swarm starts node, python3, bash, sh')
  },
)

test('an entry is never guessed among several, and one that is said must be there', () => {
  expect(convert(filesOf('index.js', 'main.js')).problems.join()).toContain(
    'index.js or main.js could be its entry',
  )
  expect(convert(filesOf('start.js')).problems.join()).toContain('--value agents.entry=<file>')
  expect(convert({ ...filesOf('index.js', 'src/go.js'), entry: './src/go.js' }).manifest?.entry).toBe(
    'src/go.js',
  )
  expect(convert({ entry: '../x.js' }).problems.join()).toContain('has no file')
})

describe('capabilities', () => {
  test.each([
    ['["resume", "send"]', ['resume', 'send']],
    ['{"resume": true, "send": false, "interrupt": true}', ['resume', 'interrupt']],
    ['resume, interrupt', ['resume', 'interrupt']],
    ['[]', []],
    ['null', []],
  ])('%s are %j', (capabilities, ours) => {
    expect(convert({ capabilities })).toMatchObject({ changes: [], manifest: { capabilities: ours } })
  })

  test('what there is nothing for is reported, and access is given only where it is spelled out', () => {
    const { manifest, changes } = convert({ capabilities: '["network", "root", "repository"]' })
    expect(manifest).toMatchObject({ workspace: 'optional', network: { hosts: [], models: [] } })
    expect(changes.join()).toContain('left out "network", "root"')
    const spelled = convert({ capabilities: '{"hosts": ["example.com:443"], "models": ["default"]}' })
    expect(spelled.manifest?.network).toEqual({
      hosts: [{ host: 'example.com', port: 443 }],
      models: ['default'],
    })
  })

  test.each(['{', '5', '"resume"', '[{"name": "resume"}]', '[['.repeat(40)])(
    '%s is refused',
    (capabilities) => {
      expect(convert({ capabilities }).problems).not.toEqual([])
    },
  )
})

test('U14: any text in a row stays what it is: the manifest has the same keys and no other', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string(), (description, capabilities) => {
      const { manifest, problems } = convert({ description, capabilities })
      if (manifest === undefined) {
        expect(problems).not.toEqual([])
        return
      }
      expect(manifest).toMatchObject({
        name: 'sample',
        entry: 'index.mjs',
        network: { hosts: [], models: [] },
      })
      if (description.trim() !== '') expect(manifest.description).toBe(description)
    }),
    // Each manifest has its schemas compiled.
    { numRuns: 30 },
  )
})
