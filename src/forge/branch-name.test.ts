import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isBranchName, isSwarmBranch, toBranchName } from './branch-name.ts'

test.each([
  ['WEB-12', 'Fix login', 'swarm/web-12-fix-login'],
  ['WEB-12', '', 'swarm/web-12'],
  ['WEB-12', '修正登录', 'swarm/web-12'],
  ['WEB-12', 'Ärger mit Größe', 'swarm/web-12-arger-mit-gro-e'],
  [
    'WEB-12',
    '--upload-pack=evil; rm -rf / $(id) `id` ../../etc',
    'swarm/web-12-upload-pack-evil-rm-rf-id-id-etc',
  ],
  ['WEB-12', 'x.lock', 'swarm/web-12-x-lock'],
  ['WEB-12', 'a\u0000b\nc\u001b[31m', 'swarm/web-12-a-b-c-31m'],
  ['WEB-12', `${'word '.repeat(100)}`, 'swarm/web-12-word-word-word-word-word-word-word-word-word'],
  ['WEB-12', 'x'.repeat(1_000_000), `swarm/web-12-${'x'.repeat(48)}`],
])('the branch of %s "%s"', (key, title, branch) => {
  expect(toBranchName({ key, title: title.slice(0, 1_000_000) })).toBe(branch)
})

test('U14: any title gives a branch that is ours and well-formed', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 500 }), (title) => {
      const branch = toBranchName({ key: 'WEB-1', title })
      expect(isSwarmBranch(branch)).toBe(true)
      expect(isBranchName(branch)).toBe(true)
      expect(branch.length).toBeLessThan(80)
    }),
    { numRuns: 2_000 },
  )
})

test('a key without a letter or digit is a mistake', () => {
  expect(() => toBranchName({ key: '../..', title: 'x' })).toThrow('key')
})

test.each([
  '',
  '-x',
  'a..b',
  'a b',
  'a~1',
  'a^',
  'a:b',
  'a?',
  'a*',
  'a[',
  'a\\b',
  '/a',
  'a/',
  'a//b',
  '.a',
  'a/.b',
  'a.lock',
  'a.lock/b',
  'a.',
  '@',
  'a@{1}',
  'a\u007f',
  'a\n',
])('no branch is named %j', (name) => {
  expect(isBranchName(name)).toBe(false)
})
