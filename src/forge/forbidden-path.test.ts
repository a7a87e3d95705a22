import { expect, test } from 'vitest'
import { findForbiddenPart } from './forbidden-path.ts'

test.each([
  '.git/config',
  'a/.git/hooks/x',
  '.GIT/config',
  '.Git',
  '.git./x',
  '.git ',
  '.git. . /x',
  'git~1/config',
  '.g\u200cit/config',
  '.git::$INDEX_ALLOCATION/x',
  'a\\.git\\config',
  '../x',
  'a/../b',
  './x',
  'a//b',
  '/a',
  '',
])('%j is no path for a file', (path) => {
  expect(findForbiddenPart(Buffer.from(path))).toBeDefined()
})

test.each([
  '.gitignore',
  '.gitattributes',
  '.github/x',
  'git/x',
  'a.git/x',
  '..a/b',
  'a..',
  '.git-blame',
  'digit~1',
  '-rf',
  ' ',
])('%j is fine', (path) => {
  expect(findForbiddenPart(Buffer.from(path))).toBeUndefined()
})
