import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'

type Rule = {
  name: string
  severity: string
  from: { path?: string | string[] }
  to: { path?: string; pathNot?: string | string[] }
}

const root = new URL('../../', import.meta.url)
const { forbidden } = createRequire(import.meta.url)('../../.dependency-cruiser.cjs') as { forbidden: Rule[] }
const page = readFileSync(new URL('ARCHITECTURE.md', root), 'utf8')

/** Words of the page → the pattern of the linter that says the same. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  '`domain`': ['^src/domain/'],
  '`workflow`': ['^src/workflow/'],
  '`platform`': ['^src/platform/'],
  '`registry`': ['^src/registry/'],
  '`engine`': ['^src/engine/'],
  '`rest-schema`': ['^src/rest-schema/'],
  "the store's contract": ['^src/store/[^/]+\\.ts$'],
  "the gateway's contract": ['^src/gateway/contract\\.ts$'],
  'family contracts': ['store', 'sandbox', 'agent', 'forge', 'tracker'].map(
    (family) => `^src/${family}/[^/]+\\.ts$`,
  ),
  '`coordinator/control.ts`': ['^src/coordinator/control\\.ts$'],
  nothing: [],
}

const rows = page
  .slice(page.indexOf('## Which folder may import which'))
  .split('\n')
  .flatMap((line) => {
    const match = /^\| `([a-z-]+)` \| (.+) \|$/.exec(line)
    return match?.[1] && match[2] ? [{ folder: match[1], words: match[2] }] : []
  })
  .filter(({ folder }) => folder !== 'cli')

test('the page has a row for every folder that the linter checks, and the other way round', () => {
  const checked = forbidden.flatMap(({ name }) => /^([a-z-]+)-imports$/.exec(name)?.[1] ?? [])
  const families = ['contract', 'shared-query', 'implementation', 'cli', 'cli-local']
  expect(rows.map(({ folder }) => folder).sort()).toEqual(
    checked.filter((name) => !families.includes(name)).sort(),
  )
})

test.each(rows)('the linter allows $folder what the page says and nothing else', ({ folder, words }) => {
  const rule = forbidden.find(({ name }) => name === `${folder}-imports`)
  const expected = words.split(', ').flatMap((word) => {
    const patterns = WORDS[word]
    if (patterns === undefined) throw new Error(`the page says ${word}, which this test does not know`)
    return patterns
  })
  expect([...(rule?.to.pathNot ?? [])].sort()).toEqual([`^src/${folder}/`, ...expected].sort())
  expect(rule?.severity).toBe('error')
})

test('the composition root is imported by the life cycle and by test support only', () => {
  const importers = ['src', 'test', 'bench', 'scripts'].flatMap(listSources).filter((path) => {
    const text = readFileSync(new URL(path, root), 'utf8')
    return /from '[^']*\/context\.ts'/.test(text) && /createContext|type Context\b/.test(text)
  })
  expect(
    importers.filter((path) => !path.startsWith('src/cli/') && !path.startsWith('test/support/')),
  ).toEqual(['src/main.ts'])
})

function listSources(folder: string): string[] {
  return readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`)
}
