import { posix } from 'node:path'
import type { Readable } from 'node:stream'
import { extract, type Pack, pack } from 'tar-stream'
import type { GuestErrorCode } from '../guest-protocol-messages.ts'

type FakeNode =
  | { readonly kind: 'file'; readonly data: Buffer; readonly mode: number }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'directory' }

export class FakeFileError extends Error {
  readonly code: GuestErrorCode
  constructor(code: GuestErrorCode, message: string) {
    super(message)
    this.name = 'FakeFileError'
    this.code = code
  }
}

const KINDS_REFUSED = new Set(['link', 'character-device', 'block-device', 'fifo', 'contiguous-file'])

/** A file system in memory, with the directories that every sandbox has. */
export class FakeFiles {
  readonly #nodes = new Map<string, FakeNode>()
  readonly #bytesMax: number
  #changeCount = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    for (const path of ['/', '/workspace', '/tmp', '/home/agent', '/swarm/attempt', '/swarm/bin']) {
      this.makeDirectory(path)
    }
  }

  get changeCount(): number {
    return this.#changeCount
  }

  usedBytes(): number {
    let bytes = 0
    for (const node of this.#nodes.values()) bytes += node.kind === 'file' ? node.data.length : 0
    return bytes
  }

  isDirectory(path: string): boolean {
    return this.#nodes.get(posix.normalize(path))?.kind === 'directory'
  }

  read(path: string): Buffer {
    const node = this.#nodes.get(posix.normalize(path))
    if (node === undefined) throw new FakeFileError('not_found', `${path}: no such file`)
    if (node.kind !== 'file') throw new FakeFileError('not_a_file', `${path} is not a regular file`)
    return node.data
  }

  write(path: string, data: Buffer, mode = 0o644): void {
    const normal = posix.normalize(path)
    if (this.#nodes.get(normal)?.kind === 'directory') {
      throw new FakeFileError('path_refused', `the directory ${path} is in the way of a file`)
    }
    if (this.usedBytes() + data.length > this.#bytesMax) throw new FakeFileError('disk_full', 'no space left')
    this.makeDirectory(posix.dirname(normal))
    this.#set(normal, { kind: 'file', data, mode })
  }

  makeDirectory(path: string): void {
    const node = this.#nodes.get(path)
    if (node?.kind === 'directory') return
    if (node !== undefined) throw new FakeFileError('path_refused', `${path} is in the way of a directory`)
    if (path !== '/') this.makeDirectory(posix.dirname(path))
    this.#set(path, { kind: 'directory' })
  }

  /** As the guest program does it: nothing leads out, only files, directories and inner links. */
  async unpack(tar: Readable, root: string): Promise<void> {
    this.makeDirectory(posix.normalize(root))
    const entries = extract()
    tar.on('error', (error) => entries.destroy(error))
    tar.pipe(entries as unknown as NodeJS.WritableStream)
    try {
      for await (const entry of entries) {
        const { name, type, linkname, mode } = entry.header
        const path = this.#resolve(root, name)
        const chunks: Buffer[] = []
        for await (const chunk of entry) chunks.push(chunk as Buffer)
        if (KINDS_REFUSED.has(type ?? '')) throw new FakeFileError('path_refused', `${name} is a ${type}`)
        if (type === 'directory') this.makeDirectory(path)
        else if (type === 'symlink') this.#link(root, path, linkname ?? '')
        else this.write(path, Buffer.concat(chunks), mode)
      }
    } catch (error) {
      if (error instanceof FakeFileError) throw error
      throw new FakeFileError('tar_invalid', error instanceof Error ? error.message : String(error))
    }
  }

  pack(path: string, { onlyFile }: { readonly onlyFile: boolean }): Pack {
    const root = posix.normalize(path)
    const node = this.#nodes.get(root)
    if (node === undefined) throw new FakeFileError('not_found', `${path}: no such file`)
    if (onlyFile && node.kind !== 'file')
      throw new FakeFileError('not_a_file', `${path} is not a regular file`)
    const tar = pack()
    const base =
      node.kind === 'directory' ? `${root}/`.replace('//', '/') : `${posix.dirname(root)}/`.replace('//', '/')
    for (const [at, found] of [...this.#nodes].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (at !== root ? !at.startsWith(base) || node.kind !== 'directory' : node.kind === 'directory')
        continue
      const name = at.slice(base.length)
      if (found.kind === 'file') tar.entry({ name, mode: found.mode }, found.data)
      else if (found.kind === 'symlink') tar.entry({ name, type: 'symlink', linkname: found.target })
      else tar.entry({ name: `${name}/`, type: 'directory' })
    }
    tar.finalize()
    return tar
  }

  #link(root: string, path: string, target: string): void {
    const resolved = posix.normalize(posix.join(posix.dirname(path), target))
    if (target === '' || target.startsWith('/') || !`${resolved}/`.startsWith(`${posix.normalize(root)}/`)) {
      throw new FakeFileError('path_refused', `the link ${path} leads out of the directory`)
    }
    this.#set(path, { kind: 'symlink', target })
  }

  #resolve(root: string, name: string): string {
    const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.')
    if (name.startsWith('/') || segments.includes('..') || name.includes('\0')) {
      throw new FakeFileError('path_refused', `${name} leads out of the directory`)
    }
    for (let depth = 1; depth < segments.length; depth++) {
      const parent = posix.join(root, ...segments.slice(0, depth))
      if (this.#nodes.get(parent)?.kind === 'symlink') {
        throw new FakeFileError('path_refused', `${parent} is in the way of a directory`)
      }
    }
    return posix.join(root, ...segments)
  }

  #set(path: string, node: FakeNode): void {
    this.#changeCount++
    this.#nodes.set(path, node)
  }
}
