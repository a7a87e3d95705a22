/**
 * Files that Swarm writes for other programs and may have to take back: each says itself who wrote it, with which
 * options, and by a checksum whether somebody has changed it since.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type ServiceOptions, serviceOptionsSchema } from './service-plan.ts'

export type WrittenFile =
  | { readonly kind: 'absent' }
  /** Somebody else's, or nothing that could be read as ours */
  | { readonly kind: 'foreign' }
  | {
      readonly kind: 'written'
      readonly text: string
      readonly isModified: boolean
      readonly options: ServiceOptions
    }

const HEADER =
  'Written by `swarm service install`; `swarm service uninstall` removes it unless it was changed.'
const FACTS = /^(?:#|\/\/) swarm-service (\{.*\})$/
const FILE_BYTES_MAX = 256 * 1024

/** The content of a file with its header. */
export function withHeader(body: string, comment: '#' | '//', options: ServiceOptions): string {
  const facts = { checksum: toChecksum(body, options), options }
  return `${comment} ${HEADER}\n${comment} swarm-service ${JSON.stringify(facts)}\n${body}`
}

/** @throws the system's error when it is there and cannot be read */
export async function readWrittenFile(path: string): Promise<WrittenFile> {
  const text = await readText(path)
  if (text === undefined) return { kind: 'absent' }
  const [first, second, ...rest] = text.split('\n')
  const facts = first?.endsWith(` ${HEADER}`) ? parseFacts(FACTS.exec(second ?? '')?.[1]) : undefined
  if (facts === undefined) return { kind: 'foreign' }
  const { checksum, options } = facts
  return { kind: 'written', text, options, isModified: checksum !== toChecksum(rest.join('\n'), options) }
}

/** Replaces the file as a whole: whoever reads it meanwhile sees the old or the new one. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  await mkdir(dirname(path), { recursive: true })
  try {
    const handle = await open(temporary, 'wx', 0o644)
    try {
      await handle.writeFile(text)
      await handle.chmod(0o644)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    // Not blocking: a pipe in its place would be waited for without end.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const found = await handle.stat()
      // A masked unit is a link to /dev/null: there, and not ours.
      return found.isFile() && found.size <= FILE_BYTES_MAX ? await handle.readFile('utf8') : ''
    } finally {
      await handle.close()
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

function parseFacts(text: string | undefined): { checksum: string; options: ServiceOptions } | undefined {
  if (text === undefined) return undefined
  try {
    const { checksum, options } = JSON.parse(text) as { checksum?: unknown; options?: unknown }
    const parsed = serviceOptionsSchema.safeParse(options)
    return typeof checksum === 'string' && parsed.success ? { checksum, options: parsed.data } : undefined
  } catch {
    return undefined
  }
}

function toChecksum(body: string, options: ServiceOptions): string {
  return createHash('sha256')
    .update(`${JSON.stringify(options)}\n${body}`)
    .digest('hex')
}
