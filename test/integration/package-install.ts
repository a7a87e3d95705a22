import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ProcessResult, runProcess } from '../../src/platform/process.ts'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Complete versions, so that the same are tested everywhere: the last one too old, the oldest that is supported. */
const NODE_VERSIONS = { 20: '20.20.2', 22: '22.18.0' } as const
const TIMEOUT_MS = 100_000
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024

export type NodeMajor = 20 | 22 | 24

/** The package as a user has it, and the Nodes that may run it. */
export type InstalledPackage = {
  /** Everything of it; removed by `remove` */
  readonly folder: string
  readonly tarball: string
  /** Where `npm install` was run: an empty folder before, its name holds a space and letters beyond ASCII */
  readonly project: string
  /** The package in `node_modules` there */
  readonly root: string
  /** What npm made for shells: a link to the program */
  readonly bin: string
  /** Path of a Node; fetched with the user's npm the first time */
  findNode(major: NodeMajor): Promise<string>
  remove(): Promise<void>
}

/**
 * Packs a copy of the checkout, so that nobody else's `dist` is touched, and installs the tarball with the npm and
 * the npm configuration of the user.
 */
export async function installPackage(): Promise<InstalledPackage> {
  const folder = await mkdtemp(join(tmpdir(), 'swarm-pack-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    const tarball = await packCopy(folder)
    const project = join(folder, 'où est l’essaim 群')
    await mkdir(project)
    await runNpm(['install', '--prefer-offline', '--prefix', project, tarball], project)
    const root = join(project, 'node_modules', 'swarm')
    const bin = join(project, 'node_modules', '.bin', 'swarm')
    const nodes = new Map<NodeMajor, Promise<string>>()
    const findNode = (major: NodeMajor) => {
      const found = nodes.get(major) ?? findNodeOf(major, folder)
      nodes.set(major, found)
      return found
    }
    return { folder, tarball, project, root, bin, findNode, remove }
  } catch (error) {
    await remove()
    throw error
  }
}

/** Runs a program of the installed package as a user would: nothing of this process's environment but the path. */
export async function runInstalled(
  { folder, project }: InstalledPackage,
  argv: readonly string[],
  path = process.env.PATH ?? '',
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const result = await runProcess({
    argv,
    cwd: project,
    env: { PATH: path, HOME: join(folder, 'home'), LANG: 'C.UTF-8' },
    timeoutMs: TIMEOUT_MS,
    outputBytesMax: OUTPUT_BYTES_MAX,
  })
  return { code: result.code, stdout: result.stdout.toString('utf8'), stderr: result.stderr.toString('utf8') }
}

async function packCopy(folder: string): Promise<string> {
  const copy = join(folder, 'copy')
  const listed = await run([
    'git',
    '-C',
    ROOT,
    'ls-files',
    '-z',
    '--cached',
    '--others',
    '--exclude-standard',
  ])
  for (const name of listed.stdout.toString('utf8').split('\0').filter(Boolean)) {
    await mkdir(dirname(join(copy, name)), { recursive: true })
    await cp(join(ROOT, name), join(copy, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
  }
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  await run([process.execPath, 'scripts/build.ts'], copy)
  await runNpm(['pack', '--ignore-scripts', '--pack-destination', folder], copy)
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack made no tarball')
  return join(folder, tarball)
}

async function findNodeOf(major: NodeMajor, folder: string): Promise<string> {
  if (process.version.startsWith(`v${major}.`)) return process.execPath
  if (major === 24) throw new Error(`these tests run under Node 24, this is ${process.version}`)
  const installed = major === 20 ? await findOnPath(major) : undefined
  return installed ?? (await installNode(NODE_VERSIONS[major], folder))
}

/** The system's own, not the one that npm scripts put before it. */
async function findOnPath(major: number): Promise<string | undefined> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    if (directory.includes('node_modules')) continue
    const node = join(directory, 'node')
    const version = await run([node, '--version']).catch(() => undefined)
    if (version?.stdout.toString('utf8').startsWith(`v${major}.`)) return node
  }
  return undefined
}

/** The package that carries the program itself: it needs no install script, which npm may not be allowed to run. */
async function installNode(version: string, folder: string): Promise<string> {
  const name = `node-${process.platform}-${process.arch}`
  const prefix = join(folder, `node-${version}`)
  await mkdir(prefix)
  await runNpm(
    ['install', '--prefer-offline', '--no-package-lock', '--prefix', prefix, `${name}@${version}`],
    prefix,
  )
  return join(prefix, 'node_modules', name, 'bin', 'node')
}

async function runNpm(args: readonly string[], cwd: string): Promise<void> {
  await run(['npm', ...args, '--no-audit', '--no-fund', '--loglevel', 'error'], cwd, npmEnvironment())
}

/** The user's registry, cache and proxies; not the project that an npm script of this checkout has set. */
export function npmEnvironment(): Record<string, string> {
  const kept =
    /^(PATH|HOME|LANG|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|(https?|no)_proxy|npm_config_(?!local_prefix).+)$/i
  const entries = Object.entries(process.env).flatMap(([name, value]) =>
    kept.test(name) && value !== undefined ? [[name, value] as const] : [],
  )
  return Object.fromEntries(entries)
}

async function run(
  argv: readonly string[],
  cwd = ROOT,
  env?: Readonly<Record<string, string>>,
): Promise<ProcessResult> {
  const result = await runProcess({
    argv,
    cwd,
    timeoutMs: TIMEOUT_MS,
    outputBytesMax: OUTPUT_BYTES_MAX,
    ...(env === undefined ? {} : { env }),
  })
  if (result.code !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr}${result.stdout}`)
  return result
}
