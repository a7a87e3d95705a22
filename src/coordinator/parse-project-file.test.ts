import { expect, test } from 'vitest'
import { parseProjectFile } from './parse-project-file.ts'

test('checks and setup are argument arrays', () => {
  const parsed = parseProjectFile(
    'checks:\n  - [npm, test]\nsetup: [[npm, ci]]\ndefault-workflow: code-change\n',
  )
  expect(parsed).toEqual({
    ok: true,
    file: { checks: [['npm', 'test']], setup: [['npm', 'ci']], defaultWorkflow: 'code-change' },
  })
})

test('an empty file declares nothing', () => {
  expect(parseProjectFile('')).toMatchObject({ ok: true, file: { checks: [] } })
})

test.each([
  ['a shell line', 'checks:\n  - npm test\n', ':2:'],
  ['an unknown key', 'check: []\n', ':1:'],
  ['broken YAML', 'checks: [\n', ':'],
  ['an alias', 'checks: &a [[x]]\nsetup: *a\n', ':'],
  ['a duplicate key', 'checks: []\nchecks: []\n', ':2:'],
])('%s is refused with its place', (_, text, place) => {
  const parsed = parseProjectFile(text)
  expect(parsed).toMatchObject({ ok: false, detail: expect.stringContaining(`project.yaml${place}`) })
})
