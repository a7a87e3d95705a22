import fc from 'fast-check'
import { expect, test } from 'vitest'
import { quote, toAgentVersion, toOurName, toWorkflowVersion } from './foreign-name.ts'

test.each([
  ['Code Writer', 'code-writer'],
  ['code__writer!', 'code-writer'],
  ['Übersetzer', 'ubersetzer'],
  ['3d-modeler', 'agent-3d-modeler'],
  ['-x-', 'x'],
  ['作家', undefined],
  ['', undefined],
])('the name %s is %s', (theirs, ours) => {
  expect(toOurName(theirs, 'agent')).toBe(ours)
})

test.each([
  ['1', '1.0.0', '1'],
  ['v1.2', '1.2.0', '1.2'],
  ['1.2.3-beta.1', '1.2.3-beta.1', '1.2.3-beta.1'],
  ['1.2.3+build.7', '1.2.3', '1.2.3'],
  ['1.2.3.4', undefined, undefined],
  ['latest', undefined, undefined],
  ['2024-01-05T10:00', undefined, undefined],
  ['', undefined, undefined],
])('the version %s is %s of an agent and %s of a workflow', (theirs, agent, workflow) => {
  expect(toAgentVersion(theirs)).toBe(agent)
  expect(toWorkflowVersion(theirs)).toBe(workflow)
})

test('U14: any text becomes a name of ours or none, and making it again changes nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      const name = toOurName(text, 'agent')
      if (name === undefined) return
      expect(name).toMatch(/^[a-z][a-z0-9-]{0,62}$/)
      expect(toOurName(name, 'agent')).toBe(name)
      expect(quote(text)).not.toMatch(/[\u0000-\u001f]/)
    }),
  )
})
