import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const WORKSPACE_PROGRAM = fileURLToPath(new URL('../../guest/workspace.ts', import.meta.url))

const ENVIRONMENT = {
  PATH: process.env.PATH,
  HOME: '/nonexistent',
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Test',
  GIT_AUTHOR_EMAIL: 'test@localhost',
  GIT_COMMITTER_NAME: 'Test',
  GIT_COMMITTER_EMAIL: 'test@localhost',
}

/** Runs git as a person would, away from this machine's configuration. */
export async function git(cwd: string, ...args: string[]): Promise<string> {
  const { stdout } = await run('git', args, { cwd, env: ENVIRONMENT, maxBuffer: 64 * 1024 * 1024 })
  return stdout.trim()
}

export async function makeTemporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'swarm-git-test-'))
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true })
    },
  }
}

/** A bare repository with one commit on `main`. */
export async function makeRemote(
  path: string,
  files: Readonly<Record<string, string>> = { 'readme.txt': 'hello\n' },
): Promise<{ readonly path: string; readonly commit: string }> {
  await mkdir(path, { recursive: true })
  await git(path, 'init', '--quiet', '--bare', '--initial-branch=main')
  const commit = await commitTo(path, 'main', files)
  return { path, commit }
}

/** Commits files to a branch of a bare repository, from a clone that is thrown away. */
export async function commitTo(
  remote: string,
  branch: string,
  files: Readonly<Record<string, string>>,
  prepare: (clone: string) => Promise<unknown> = async () => {},
): Promise<string> {
  await using folder = await makeTemporaryFolder()
  const clone = join(folder.path, 'clone')
  await git(folder.path, 'clone', '--quiet', remote, clone)
  const exists = await git(clone, 'ls-remote', '--heads', 'origin', branch)
  if (exists === '') await git(clone, 'checkout', '--quiet', '-B', branch)
  else await git(clone, 'checkout', '--quiet', '-B', branch, `origin/${branch}`)
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(clone, name)), { recursive: true })
    await writeFile(join(clone, name), content)
  }
  await prepare(clone)
  await git(clone, 'add', '--all')
  await git(clone, 'commit', '--quiet', '--message', 'change')
  await git(clone, 'push', '--quiet', 'origin', `HEAD:refs/heads/${branch}`)
  return await git(clone, 'rev-parse', 'HEAD')
}

/** The folders of a sandbox, without the sandbox: enough for the workspace program, which is real. */
export type SandboxFolders = {
  readonly root: string
  readonly workspace: string
  readonly attempt: string
}

export async function makeSandboxFolders(root: string): Promise<SandboxFolders> {
  const folders = { root, workspace: join(root, 'workspace'), attempt: join(root, 'swarm/attempt') }
  await mkdir(folders.workspace, { recursive: true })
  await mkdir(folders.attempt, { recursive: true })
  return folders
}

/** Runs a verb of the guest's workspace program as the engine does. */
export async function runWorkspace(
  folders: SandboxFolders,
  verb: 'open' | 'harvest',
  args: Readonly<Record<string, unknown>>,
  /** Another user to run as; only root may ask for one */
  user: { readonly uid?: number; readonly gid?: number } = {},
): Promise<{ readonly code: number; readonly stderr: string }> {
  const path = join(folders.attempt, `workspace-${verb}.json`)
  await writeFile(path, JSON.stringify({ workspace: '/workspace', ...args }))
  try {
    const { stderr } = await run(process.execPath, [WORKSPACE_PROGRAM, verb, path], {
      env: { PATH: process.env.PATH },
      ...user,
    })
    return { code: 0, stderr }
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string }
    return { code, stderr }
  }
}

export function openArguments(commit: string) {
  return { bundle: '/swarm/attempt/repo.bundle', commit, branch: 'swarm/web-1-test' }
}

export function harvestArguments(base: string) {
  return {
    base,
    bundle: '/swarm/attempt/work.bundle',
    note: '/swarm/attempt/work.json',
    message: 'WEB-1: test',
    trailers: { 'Swarm-Ticket': 'WEB-1', 'Swarm-Run': 'run_1' },
  }
}
