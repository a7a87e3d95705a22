import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Calls that block the event loop and are reachable from the daemon, each with the reason why it may. Everything
 * else that blocks is a mistake: polls, leases and dead-man deadlines stop while it lasts.
 */
const ALLOWED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'src/main.ts': { existsSync: 'once, at the start, before anything is claimed' },
  'src/store/sqlite/store-lock.ts': {
    openSync: 'once, when the store is opened, before anything is claimed',
    closeSync: 'once, when the store is opened, before anything is claimed',
  },
  'src/store/sqlite/connection.ts': {
    DatabaseSync:
      'the one writer: each call is a statement of microseconds; long reads are in a worker thread',
    StatementSync: 'the type that goes with it',
  },
  'src/workflow/render-prompt.ts': {
    parseAndRenderSync: 'pure computation, bounded by its own render limit',
  },
}

/** Files that are imported for their values from this file, directly or further on. */
function listReachable(entry: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  const queue = [join(ROOT, entry)]
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const name = relative(ROOT, path)
    if (found.has(name)) continue
    const text = readFileSync(path, 'utf8')
    found.set(name, text)
    for (const specifier of listImports(text)) queue.push(join(dirname(path), specifier))
  }
  return found
}

/** Relative imports and re-exports, static and dynamic, without those that only bring types. */
function listImports(text: string): string[] {
  const statics = text.matchAll(/^(?:import|export)\s+(?!type\b)(?:[^'"]*?\sfrom\s+)?['"](\.[^'"]+)['"]/gm)
  const dynamics = text.matchAll(/\bimport\(\s*['"](\.[^'"]+)['"]/g)
  return [...statics, ...dynamics].map((match) => match[1] as string)
}

/** Names of what blocks, as they stand in the code; comments do not count. */
function listBlocking(text: string): string[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '')
  const names = [...code.matchAll(/\b([A-Za-z]+Sync)\b/g)].map((match) => match[1] as string)
  if (/\bAtomics\.wait\(/.test(code)) names.push('Atomics.wait')
  return [...new Set(names)].sort()
}

const reachable = listReachable('src/main.ts')

test('U17: no blocking call is reachable from the daemon (found structurally)', () => {
  const blocking = [...reachable].flatMap(([file, text]) =>
    listBlocking(text)
      .filter((name) => ALLOWED[file]?.[name] === undefined)
      .map((name) => `${file}: ${name}`),
  )
  expect(blocking).toEqual([])
})

test('what is allowed to block is still there and still reached', () => {
  const allowed = Object.entries(ALLOWED).flatMap(([file, names]) =>
    Object.keys(names).map((name) => ({ file, name })),
  )
  const stale = allowed.filter(({ file, name }) => !listBlocking(reachable.get(file) ?? '').includes(name))
  expect(stale).toEqual([])
})

test('the search goes through the whole daemon and sees what it looks for', () => {
  for (const file of [
    'src/context.ts',
    'src/coordinator/poller.ts',
    'src/engine/launch-attempt.ts',
    'src/sandbox/bubblewrap/create-bubblewrap-driver.ts',
    'src/forge/git-command.ts',
    'src/gateway/open-door.ts',
    'src/store/log-files/log-writer.ts',
    'src/api/api.ts',
    'src/platform/process.ts',
  ]) {
    expect(reachable.has(file), file).toBe(true)
    expect(existsSync(join(ROOT, file))).toBe(true)
  }
  const planted = `import { execFileSync as run } from 'x'\n// readFileSync('a')\nconst a = zlib.gzipSync(b)\nAtomics.wait(c, 0, 0)`
  expect(listBlocking(planted)).toEqual(['Atomics.wait', 'execFileSync', 'gzipSync'])
  const imports = `import type { A } from './a.ts'\nimport { type B, b } from './b.ts'\nexport { c } from './c.ts'\nawait import('./d.ts')\nimport './e.ts'\nimport {\n  f,\n} from './f.ts'\n`
  expect(listImports(imports).sort()).toEqual(['./b.ts', './c.ts', './d.ts', './e.ts', './f.ts'])
})
