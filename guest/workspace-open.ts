import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { firstLine, runGit } from './git-inside.ts'
import type { OpenArguments } from './workspace-arguments.ts'

/** Makes the workspace: a repository of its own with the commit checked out on the branch, and nothing else. */
export function openWorkspace(open: OpenArguments): void {
  mkdirSync(open.workspace, { recursive: true })
  const present = readdirSync(open.workspace).filter((name) => name !== 'lost+found')
  if (present.length > 0) throw new Error(`${open.workspace} is not empty`)
  const home = mkdtempSync(join(tmpdir(), 'swarm-git-'))
  try {
    const gitDir = join(open.workspace, '.git')
    const inside = { gitDir, workTree: open.workspace }
    runGit(home, ['init', '--quiet', '--template=', `--initial-branch=${open.branch}`, '--', open.workspace])
    fetchBase(home, gitDir, open.bundle, open.commit)
    runGit(home, ['config', 'user.name', open.author.name], inside)
    runGit(home, ['config', 'user.email', open.author.email], inside)
    runGit(home, ['checkout', '--quiet', '--force', '-B', open.branch, open.commit, '--'], inside)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** Takes the one head of a bundle as `refs/swarm/base`, which must be the commit that was promised. */
export function fetchBase(home: string, gitDir: string, bundle: string, commit: string): void {
  const head = firstLine(runGit(home, ['bundle', 'list-heads', bundle], { gitDir })).split(' ')[1]
  if (head === undefined || !/^refs\/[A-Za-z0-9/_.-]+$/.test(head)) throw new Error('the bundle has no head')
  const args = [
    'fetch',
    '--quiet',
    '--no-tags',
    '--no-write-fetch-head',
    '--',
    bundle,
    `+${head}:refs/swarm/base`,
  ]
  runGit(home, args, { gitDir })
  const found = firstLine(runGit(home, ['rev-parse', '--verify', 'refs/swarm/base^{commit}'], { gitDir }))
  if (found !== commit) throw new Error(`the bundle holds ${found}, not ${commit}`)
}
