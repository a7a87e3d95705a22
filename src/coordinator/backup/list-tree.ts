import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

export type TreeEntry = {
  /** Relative, with `/` */
  readonly path: string
  readonly kind: 'file' | 'directory' | 'other'
}

/** Everything below a folder, links not followed; nothing when it is not there. */
export async function listTree(root: string, below = ''): Promise<readonly TreeEntry[]> {
  const entries = await readdir(join(root, below), { withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    },
  )
  const found: TreeEntry[] = []
  for (const entry of entries) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.isDirectory()) found.push({ path, kind: 'directory' }, ...(await listTree(root, path)))
    else found.push({ path, kind: entry.isFile() ? 'file' : 'other' })
  }
  return found
}
