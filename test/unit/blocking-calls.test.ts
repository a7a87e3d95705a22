import { existsSync, readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const COMMENT = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm
const IMPORT = /(?:from|import\()\s*'(\.[^']+)'/g
const BLOCKING = /\b\w+Sync\b|\bAtomics\.wait\b/g

/** What may block the event loop, and why it does no harm. */
const ALLOWED: Readonly<Record<string, string>> = {
  'src/main.ts existsSync': 'once, at the start',
  'src/store/sqlite/store-lock.ts openSync': 'once, at the start',
  'src/store/sqlite/store-lock.ts closeSync': 'at the start and at the end',
  'src/store/sqlite/connection.ts DatabaseSync':
    'short statements by index; long reads have a thread of their own',
  'src/store/sqlite/connection.ts StatementSync':
    'short statements by index; long reads have a thread of their own',
  'src/workflow/render-prompt.ts parseAndRenderSync': 'no input or output, bounded in time by its renderer',
}

/** Every file that the daemon can load, by following imports, the late ones too. */
function listReachable(entry: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  const visit = (path: string) => {
    if (found.has(path) || !existsSync(path)) return
    const text = readFileSync(path, 'utf8').replace(COMMENT, '')
    found.set(path, text)
    for (const [, target] of text.matchAll(IMPORT)) visit(resolve(dirname(path), target ?? ''))
  }
  visit(resolve(ROOT, entry))
  return found
}

test('U17: no blocking call is reachable from the daemon', () => {
  const files = listReachable('src/main.ts')
  expect(files.size).toBeGreaterThan(300)
  const calls = [...files].flatMap(([path, text]) =>
    [...text.matchAll(BLOCKING)].map(([name]) => `${relative(ROOT, path)} ${name}`),
  )
  expect([...new Set(calls)].filter((call) => !(call in ALLOWED))).toEqual([])
  expect(Object.keys(ALLOWED).filter((call) => !calls.includes(call))).toEqual([])
})

test('U17: a blocking call would be found', () => {
  expect('const a = readFileSync(path)'.match(BLOCKING)).toEqual(['readFileSync'])
})
