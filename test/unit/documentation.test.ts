import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const root = new URL('../../', import.meta.url)
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(new URL('docs/', root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

test.each(pages)('every link of %s leads somewhere', (page) => {
  const at = new URL(page, root)
  const text = readFileSync(at, 'utf8').replace(/```[\s\S]*?```/g, '')
  const targets = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, target]) => target ?? '')
  const broken = targets.filter((target) => !/^[a-z]+:/.test(target) && !existsSync(new URL(target, at)))
  expect(broken).toEqual([])
})

test('decisions are numbered without a gap and say what was decided', () => {
  const names = readdirSync(new URL('docs/decisions/', root)).sort()
  expect(names.map((name) => Number(name.slice(0, 4)))).toEqual(names.map((_, index) => index + 1))
  for (const name of names) {
    expect(readFileSync(new URL(`docs/decisions/${name}`, root), 'utf8')).toMatch(/\*\*Decision\.\*\*/)
  }
})
