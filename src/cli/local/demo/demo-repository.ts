import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { runProcess } from '../../../platform/process.ts'
import { type ModelScript, scriptLineRepair } from './model-script.ts'

/** The file with the mistake, the line it is in, and that line as it should be. */
const BROKEN_FILE = 'src/cart.mjs'
const BROKEN_PART = 'sum + item.price'
const REPAIRED_PART = 'sum + item.price * item.quantity'

const FILES: Readonly<Record<string, string>> = {
  'README.md': '# Cart\n\nAdds up what is in a shopping cart. `node --test` runs the tests.\n',
  'package.json': `${JSON.stringify({ name: 'cart', private: true, type: 'module', scripts: { test: 'node --test' } }, null, 2)}\n`,
  [BROKEN_FILE]: `/** What the cart costs, in cents. */
export function total(items) {
  return items.reduce((sum, item) => ${BROKEN_PART}, 0)
}
`,
  'test/cart.test.mjs': `import assert from 'node:assert/strict'
import { test } from 'node:test'
import { total } from '../src/cart.mjs'

test('an empty cart costs nothing', () => {
  assert.equal(total([]), 0)
})

test('two of a kind cost twice as much', () => {
  assert.equal(total([{ price: 250, quantity: 2 }, { price: 100, quantity: 1 }]), 600)
})
`,
  '.swarm/project.yaml': 'checks:\n  - [node, --test]\n',
}

/** What the scripted model does about the mistake: it reads, repairs the line that it finds, runs the checks. */
export function scriptDemoRepair(needle: string): ModelScript {
  return scriptLineRepair({
    needle,
    path: BROKEN_FILE,
    marker: BROKEN_PART,
    rewrite: (line) => line.replace(BROKEN_PART, REPAIRED_PART),
    summary: 'total() now counts how many there are of each item.',
  })
}

export type DemoRepository = {
  /** The bare repository that the project names */
  readonly path: string
  /** Whether the default branch holds the repair and this commit */
  isRepaired(mergeCommit: string, signal: AbortSignal): Promise<boolean>
  hasBranch(branch: string, signal: AbortSignal): Promise<boolean>
}

/** Makes a small repository with a failing test: a bare one, filled by one commit. */
export async function createDemoRepository(directory: string, signal: AbortSignal): Promise<DemoRepository> {
  const workTree = join(directory, 'cart')
  const path = join(directory, 'cart.git')
  for (const [name, content] of Object.entries(FILES)) {
    await mkdir(dirname(join(workTree, name)), { recursive: true })
    await writeFile(join(workTree, name), content)
  }
  await git(['init', '--quiet', '--initial-branch=main', workTree], signal)
  await git(['-C', workTree, 'add', '--all'], signal)
  await git(['-C', workTree, 'commit', '--quiet', '--message', 'Add up what is in a cart'], signal)
  await git(['clone', '--quiet', '--bare', workTree, path], signal)
  return {
    path,
    async isRepaired(mergeCommit, checkSignal) {
      const repo = ['--git-dir', path]
      const contains = await tryGit(
        [...repo, 'merge-base', '--is-ancestor', mergeCommit, 'main'],
        checkSignal,
      )
      const file = await tryGit([...repo, 'show', `main:${BROKEN_FILE}`], checkSignal)
      return contains.code === 0 && file.code === 0 && file.stdout.toString('utf8').includes('item.quantity')
    },
    async hasBranch(branch, checkSignal) {
      const ref = `refs/heads/${branch}`
      const found = await tryGit(['--git-dir', path, 'show-ref', '--verify', '--quiet', ref], checkSignal)
      return found.code === 0
    },
  }
}

const GIT_TIMEOUT_MS = 30_000

async function tryGit(args: readonly string[], signal: AbortSignal) {
  return await runProcess({
    argv: ['git', ...args],
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      HOME: '/nonexistent',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: 'Swarm demo',
      GIT_AUTHOR_EMAIL: 'demo@localhost',
      GIT_COMMITTER_NAME: 'Swarm demo',
      GIT_COMMITTER_EMAIL: 'demo@localhost',
    },
    timeoutMs: GIT_TIMEOUT_MS,
    outputBytesMax: 1024 * 1024,
    signal,
  })
}

async function git(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { code, stderr } = await tryGit(args, signal)
  if (code !== 0) throw new Error(`git ${args[0]} failed: ${stderr.toString('utf8').trim()}`)
}
