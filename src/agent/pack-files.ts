import { Readable } from 'node:stream'
import { pack } from 'tar-stream'
import type { SandboxFile } from './contract.ts'

/** The files as a tar stream, paths relative to `root`; directories are made by who unpacks it. */
export function packFiles(files: readonly SandboxFile[], root = '/'): Readable {
  const prefix = root.endsWith('/') ? root : `${root}/`
  const tar = pack()
  for (const { path, mode, content } of files) {
    if (!path.startsWith(prefix)) throw new RangeError(`${path} is not below ${root}`)
    // A fixed time keeps the same files the same bytes.
    tar.entry({ name: path.slice(prefix.length), mode, mtime: new Date(0) }, Buffer.from(content))
  }
  tar.finalize()
  return Readable.from(tar as AsyncIterable<Buffer>, { objectMode: false })
}
