import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { runProcess } from '../../src/platform/process.ts'

/** A bare repository made for one test, on this machine. */
export type TestRepository = {
  readonly path: string
  git(...args: string[]): Promise<string>
  listBranches(): Promise<readonly string[]>
}

/** Makes a bare repository with one commit on `main` that holds these files. */
export async function createTestRepository(
  directory: string,
  files: Readonly<Record<string, string>>,
): Promise<TestRepository> {
  const workTree = join(directory, 'work-tree')
  const path = join(directory, 'origin.git')
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(workTree, name)), { recursive: true })
    await writeFile(join(workTree, name), content)
  }
  await git('init', '--quiet', '--initial-branch=main', workTree)
  await git('-C', workTree, 'add', '--all')
  await git('-C', workTree, 'commit', '--quiet', '--allow-empty', '--message', 'first')
  await git('clone', '--quiet', '--bare', workTree, path)
  const inside = (...args: string[]) => git('--git-dir', path, ...args)
  return {
    path,
    git: inside,
    listBranches: async () =>
      (await inside('for-each-ref', '--format=%(refname:short)', 'refs/heads')).split('\n').filter(Boolean),
  }
}

async function git(...args: string[]): Promise<string> {
  const result = await runProcess({
    argv: ['git', ...args],
    env: {
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent',
      GIT_AUTHOR_NAME: 'Test',
      GIT_AUTHOR_EMAIL: 'test@localhost',
      GIT_COMMITTER_NAME: 'Test',
      GIT_COMMITTER_EMAIL: 'test@localhost',
    },
    timeoutMs: 30_000,
    outputBytesMax: 1024 * 1024,
  })
  if (result.code !== 0) throw new Error(`git ${args.join(' ')}: ${result.stderr.toString('utf8')}`)
  return result.stdout.toString('utf8').trim()
}
