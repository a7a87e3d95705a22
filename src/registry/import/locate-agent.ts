import { constants } from 'node:fs'
import { open, realpath, stat } from 'node:fs/promises'
import { isAbsolute, join, resolve, sep } from 'node:path'
import { MANIFEST_FILE } from '../agent-manifest.ts'
import { type ParsedManifest, parseManifest } from '../parse-manifest.ts'
import { quote } from './foreign-name.ts'

export type Located =
  | { readonly ok: true; readonly directory: string }
  | { readonly ok: false; readonly problem: string }

const PATH_CHARS_MAX = 4_096

/**
 * The folder of an agent's program. A relative path stays inside the folder of the database, also through links;
 * an absolute one is what the owner of the registry wrote on purpose.
 * @param folder of the database
 */
export async function locateAgent(folder: string, path: string | undefined): Promise<Located> {
  if (path === undefined || path.trim() === '')
    return refuse('it has no path: where its program lies is not known')
  if (path.length > PATH_CHARS_MAX || /[\u0000-\u001f\u007f]/.test(path)) {
    return refuse(`its path ${quote(path)} is no usable path`)
  }
  try {
    const directory = await realpath(resolve(folder, path))
    if (!isAbsolute(path) && !isInside(await realpath(folder), directory)) {
      return refuse(
        `its path ${quote(path)} leads out of the folder of the database: write it as an absolute path if that is meant`,
      )
    }
    if ((await stat(directory)).isDirectory()) return { ok: true, directory }
    return refuse(
      `its path ${quote(path)} is no directory: give the directory, and the file with --column agents.entry=<column> or --value agents.entry=<file>`,
    )
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return refuse(
      `its path ${quote(path)} cannot be opened: ${code === 'ENOENT' ? 'there is no such directory' : code}`,
    )
  }
}

function refuse(problem: string): Located {
  return { ok: false, problem }
}

function isInside(folder: string, directory: string): boolean {
  return directory === folder || directory.startsWith(folder === sep ? sep : `${folder}${sep}`)
}

const MANIFEST_BYTES_MAX = 131_072

/** The manifest that the directory has itself; `undefined` when there is none. */
export async function findOwnManifest(directory: string): Promise<ParsedManifest | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  try {
    const handle = await open(join(directory, MANIFEST_FILE), flags)
    try {
      const found = await handle.stat()
      if (!found.isFile()) return { ok: false, problems: ['it is not a file'] }
      if (found.size > MANIFEST_BYTES_MAX)
        return { ok: false, problems: [`it is longer than ${MANIFEST_BYTES_MAX} bytes`] }
      return parseManifest(await handle.readFile('utf8'), MANIFEST_FILE)
    } finally {
      await handle.close()
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? undefined : { ok: false, problems: [`it cannot be read: ${code}`] }
  }
}
