/** The repository's files by relative path. Nothing outside is read or written, not through a link either. */
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, realpath } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'

/** What was asked for is not there or not allowed; told to the model, who may ask for something else. */
export class WorkspaceRefusal extends Error {}

export type Workspace = {
  readonly root: string
  read(path: string): Promise<string>
  write(path: string, content: string): Promise<void>
  /** Paths of files below a directory, sorted; stops at `countMax` */
  list(
    path: string,
    countMax: number,
  ): Promise<{ readonly paths: readonly string[]; readonly isCut: boolean }>
}

const FILE_BYTES_MAX = 2 * 1024 * 1024
const SKIPPED = new Set(['.git', 'node_modules', '.venv', '__pycache__', 'target', 'dist', '.cache'])

export function openWorkspace(directory: string): Workspace {
  const root = resolve(directory)
  return {
    root,
    async read(path) {
      const handle = await openFile(await locate(root, path), constants.O_RDONLY, path)
      try {
        const found = await handle.stat()
        if (!found.isFile()) throw new WorkspaceRefusal(`${path} is not a file`)
        if (found.size > FILE_BYTES_MAX)
          throw new WorkspaceRefusal(`${path} is larger than ${FILE_BYTES_MAX} bytes`)
        const content = await handle.readFile()
        if (content.includes(0)) throw new WorkspaceRefusal(`${path} is not a text file`)
        return content.toString('utf8')
      } finally {
        await handle.close()
      }
    },
    async write(path, content) {
      if (Buffer.byteLength(content) > FILE_BYTES_MAX) {
        throw new WorkspaceRefusal(`a file has up to ${FILE_BYTES_MAX} bytes`)
      }
      const place = await locate(root, path)
      await mkdir(dirname(place), { recursive: true })
      const handle = await openFile(place, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, path)
      try {
        await handle.writeFile(content)
      } finally {
        await handle.close()
      }
    },
    async list(path, countMax) {
      const paths: string[] = []
      const start = await locate(root, path)
      const found = await lstat(start).catch(() => undefined)
      if (found === undefined) throw new WorkspaceRefusal(`${path} does not exist`)
      if (!found.isDirectory()) return { paths: [relative(root, start)], isCut: false }
      const isCut = await walk(start, root, paths, countMax)
      return { paths: paths.sort(), isCut }
    },
  }
}

/** @returns whether there were more */
async function walk(directory: string, root: string, paths: string[], countMax: number): Promise<boolean> {
  const entries = await readdir(directory, { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (SKIPPED.has(entry.name)) continue
    const place = join(directory, entry.name)
    if (entry.isDirectory()) {
      if (await walk(place, root, paths, countMax)) return true
    } else if (entry.isFile()) {
      if (paths.length >= countMax) return true
      paths.push(relative(root, place))
    }
  }
  return false
}

/** The absolute path, once it is sure that neither `..` nor a link leads out, nor into `.git`. */
async function locate(root: string, path: string): Promise<string> {
  if (path.includes('\0')) throw new WorkspaceRefusal('a path has no NUL character')
  const place = resolve(root, path)
  const real = await realpath(root)
  const target = await realPlace(place)
  const inside = relative(real, target)
  if (inside === '..' || inside.startsWith(`..${sep}`) || resolve(real, inside) !== target) {
    throw new WorkspaceRefusal(`${path} is outside the repository`)
  }
  if (inside.split(sep)[0]?.toLowerCase() === '.git')
    throw new WorkspaceRefusal('.git is not yours to read or change')
  return target
}

/** Where the path really is; of what does not exist yet, where it would come to be. */
async function realPlace(place: string): Promise<string> {
  try {
    return await realpath(place)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(place) === place) {
      throw new WorkspaceRefusal(`${place} cannot be used as a path`)
    }
    // A link to nowhere would be written through.
    const found = await lstat(place).catch(() => undefined)
    if (found !== undefined) throw new WorkspaceRefusal('a link that leads nowhere cannot be used')
    return join(await realPlace(dirname(place)), place.slice(dirname(place).length).replace(/^\/+/, ''))
  }
}

async function openFile(place: string, flags: number, path: string) {
  try {
    return await open(place, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o644)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    throw new WorkspaceRefusal(
      code === 'ENOENT' ? `${path} does not exist` : `${path} cannot be opened (${code})`,
    )
  }
}
