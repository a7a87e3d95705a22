import { randomUUID } from 'node:crypto'
import { mkdir, readdir, realpath, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BareMirror, fetchBranch, toRemoteRef } from './bare-mirror.ts'
import { type ForgeCredentials, ForgeError, type ForgeProject } from './contract.ts'
import { createGit, type Git, type RunProcess } from './git-command.ts'
import { describeRemote, openRemote, type Remote } from './remote.ts'
import { parseRepositoryUrl } from './repository-url.ts'

export type MirrorsInput = {
  /** Folder of all mirrors, private to the daemon: `<state>/mirrors` */
  readonly mirrorsDir: string
  /** The door to processes: platform's runProcess */
  readonly run: RunProcess
  readonly credentials?: ForgeCredentials
  /** `PATH` to find git in; the system's usual folders when left out */
  readonly path?: string
}

export type Mirrors = {
  /** See Forge.ensureMirror. */
  ensure(project: ForgeProject, signal: AbortSignal): Promise<BareMirror>
  /** See Forge.openMirror. */
  open(project: ForgeProject, signal: AbortSignal): Promise<BareMirror>
}

/** What an implementation that keeps mirrors is made with; it brings the process door itself. */
export type MirroringForgeInput = Omit<MirrorsInput, 'run'> & {
  /** The forge's name in the configuration; its kind when left out */
  readonly name?: string
}

/** The mirrors below one folder: one bare repository per project. */
export function createMirrors(input: MirrorsInput): Mirrors {
  const git = createGit({
    run: input.run,
    homeDir: join(input.mirrorsDir, '.home'),
    ...(input.path === undefined ? {} : { path: input.path }),
  })
  const scratchDir = join(input.mirrorsDir, '.scratch')
  const swept = new Map<string, Promise<void>>()
  const sweepOnce = (dir: string, sweep: (dir: string) => Promise<void>) => {
    const running = swept.get(dir) ?? sweep(dir)
    swept.set(dir, running)
    return running
  }
  const toMirror = (project: ForgeProject, remote: Remote) => {
    const gitDir = join(input.mirrorsDir, `${toDirName(project.projectId)}.git`)
    const { projectId, defaultBranch } = project
    return new BareMirror({ projectId, defaultBranch, repository: { git, gitDir, scratchDir }, remote })
  }
  const ensure = async (project: ForgeProject, signal: AbortSignal) => {
    await refuseOwnMirrors(project, input.mirrorsDir)
    const mirror = toMirror(project, await openRemote(project, input.credentials))
    const { gitDir } = mirror.repository
    await mirror.exclusively(signal, async () => {
      await sweepOnce(scratchDir, sweepScratch)
      await sweepOnce(gitDir, sweepLocks)
      await ensureRepository(git, gitDir, signal)
      await fetchBranch(mirror.repository, mirror.remote, project.defaultBranch, signal)
    })
    return mirror
  }
  return {
    ensure,
    async open(project, signal) {
      await refuseOwnMirrors(project, input.mirrorsDir)
      const mirror = toMirror(project, await describeRemote(project, input.credentials))
      const base = await mirror.resolve(toRemoteRef(project.defaultBranch), signal)
      return base === undefined ? await ensure(project, signal) : mirror
    },
  }
}

/** A mirror holds the work of its project's tickets, unreviewed: no other project reads or writes it. */
async function refuseOwnMirrors({ repositoryUrl }: ForgeProject, mirrorsDir: string): Promise<void> {
  const address = parseRepositoryUrl(repositoryUrl)
  if (address.kind !== 'file') return
  const [path, own] = await Promise.all([address.path, mirrorsDir].map(toRealPath))
  if (path !== undefined && own !== undefined && `${path}/`.startsWith(`${own}/`)) {
    throw new ForgeError('repository_refused', 'the repository address is refused: it is one of our mirrors')
  }
}

/** `undefined`: it is not there, and so leads nowhere. */
async function toRealPath(path: string): Promise<string | undefined> {
  return await realpath(path).catch(() => undefined)
}

function toDirName(projectId: string): string {
  if (!/^[A-Za-z0-9_-]{1,100}$/.test(projectId)) throw new Error('a project id is letters, digits, _ and -')
  return projectId
}

/** Made aside and moved into place, so that a crash never leaves half a mirror under its name. */
export async function ensureRepository(git: Git, gitDir: string, signal: AbortSignal): Promise<void> {
  if ((await stat(join(gitDir, 'HEAD')).catch(() => undefined)) !== undefined) return
  const unfinished = `${gitDir}.${randomUUID()}.part`
  try {
    await mkdir(unfinished, { recursive: true, mode: 0o700 })
    await git({
      attempt: 'create a mirror',
      args: ['init', '--quiet', '--bare', '--template=', '--', unfinished],
      signal,
    })
    await git({
      attempt: 'configure a mirror',
      args: ['config', 'core.logAllRefUpdates', 'always'],
      gitDir: unfinished,
      signal,
    })
    await rename(unfinished, gitDir)
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

const LOCK_AGE_MS = 60_000

/** What a killed daemon left in the scratch folder; nothing of it is needed. */
async function sweepScratch(dir: string): Promise<void> {
  await sweepOld(dir, (name) => name.endsWith('.git'))
}

/** Locks of a git that was killed with its host; none of ours lives that long between two daemons. */
async function sweepLocks(gitDir: string): Promise<void> {
  await sweepOld(gitDir, (name) => name.endsWith('.lock'))
  await sweepOld(join(gitDir, 'refs'), (name) => name.endsWith('.lock'), { isDeep: true })
  await sweepOld(join(gitDir, 'objects', 'pack'), (name) => name.startsWith('tmp_'))
}

async function sweepOld(
  dir: string,
  isLeftover: (name: string) => boolean,
  { isDeep = false }: { readonly isDeep?: boolean } = {},
): Promise<void> {
  const names = await readdir(dir, { recursive: isDeep }).catch(() => [])
  for (const name of names.filter(isLeftover)) {
    const path = join(dir, name)
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined && Date.now() - found.mtimeMs > LOCK_AGE_MS) {
      await rm(path, { recursive: true, force: true })
    }
  }
}
