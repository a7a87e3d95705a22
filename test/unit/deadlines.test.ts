import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

/** The text between the braces of `export interface Name` or `export type Name =`. */
function cutInterface(text: string, name: string): string {
  const start = text.search(new RegExp(`export (interface|type) ${name}\\b`))
  expect(start, name).toBeGreaterThan(-1)
  return text.slice(start, text.indexOf('\n}', start))
}

/** Methods of an interface, each as one line. */
function listMethods(body: string): string[] {
  const code = body.replaceAll(/\/\*\*[\s\S]*?\*\//g, '')
  return [...code.matchAll(/^ {2}(\w+)\(([\s\S]*?)\): Promise</gm)].map(
    ([, name, parameters]) => `${name}(${(parameters ?? '').replaceAll(/\s+/g, ' ').trim()})`,
  )
}

describe('U18: every wait has a deadline and obeys an abort signal (found structurally):', () => {
  test.each([
    ['src/forge/contract.ts', 'Forge', 9],
    ['src/forge/mirror-contract.ts', 'Mirror', 8],
  ])('%s: every method of %s takes a signal', (path, name, countMin) => {
    const methods = listMethods(cutInterface(read(path), name))
    expect(methods.length).toBeGreaterThanOrEqual(countMin)
    expect(methods.filter((method) => !/signal: AbortSignal/.test(method))).toEqual([])
  })

  test('starting, finding and probing a sandbox takes a signal', () => {
    const methods = listMethods(cutInterface(read('src/sandbox/contract.ts'), 'SandboxDriver'))
    for (const name of ['probe', 'spawn', 'adopt']) {
      expect(methods.find((method) => method.startsWith(`${name}(`))).toContain('signal: AbortSignal')
    }
  })

  test('a request to a guest has a time of its own, and each transfer has one', () => {
    const text = read('src/sandbox/guest-connection.ts')
    expect(text).toMatch(/const REQUEST_TIMEOUT_MS = [\d_]+/)
    expect(text).toMatch(/timeoutMs = REQUEST_TIMEOUT_MS/)
    expect(text).toMatch(/openStream\([^)]*timeoutMs: number\)/)
  })

  test('no process is started on the host and waited for without a time', () => {
    expect(read('src/platform/process.ts')).toMatch(/\breadonly timeoutMs: number\b/)
  })

  test('what goes out to the network takes a signal', () => {
    for (const file of ['http-upstream', 'proxy-request', 'fetch-unix', 'unix-socket', 'resolve-host']) {
      expect(read(`src/platform/${file}.ts`), file).toMatch(/\bsignal\b/)
    }
  })

  test('what comes in from the network has a time for its headers and its whole', () => {
    for (const file of ['http-server', 'http-socket-server']) {
      const text = read(`src/platform/${file}.ts`)
      expect(text, file).toMatch(/headersTimeout: /)
      expect(text, file).toMatch(/requestTimeout: /)
    }
  })

  test('only the platform opens connections: no other file of the daemon imports a network module', () => {
    const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    const offenders = files.filter(
      (file) =>
        file.endsWith('.ts') &&
        !file.endsWith('.test.ts') &&
        !/^(platform\/|registry\/shipped\/|agent\/shipped\/)/.test(file) &&
        /^import (?!type\b).*from 'node:(net|tls|http|https|http2|dgram|dns|child_process)/m.test(
          read(`src/${file}`),
        ),
    )
    expect(offenders).toEqual([])
  })
})
