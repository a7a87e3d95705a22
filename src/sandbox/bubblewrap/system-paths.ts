import { lstat, readlink } from 'node:fs/promises'
import type { SystemPath } from './bubblewrap-arguments.ts'

/** Programs and libraries; on most systems all but the first are links into it */
const SYSTEM_DIRECTORIES = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32']
/** What programs read of /etc; nothing there that names this host or holds a secret */
const ETC = [
  '/etc/alternatives',
  '/etc/ca-certificates',
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/localtime',
  '/etc/mime.types',
  '/etc/nsswitch.conf',
  '/etc/pki/tls/certs',
  '/etc/ssl/certs',
  '/etc/ssl/openssl.cnf',
]

/** The host's system, or a template's, as it is to appear inside; read-only. */
export async function findSystemPaths(rootDirectory: string | undefined): Promise<readonly SystemPath[]> {
  const root = rootDirectory ?? ''
  const found = await Promise.all([...SYSTEM_DIRECTORIES, ...ETC].map((guest) => findPath(root, guest)))
  return found.filter((path) => path !== undefined)
}

async function findPath(root: string, guest: string): Promise<SystemPath | undefined> {
  const host = `${root}${guest}`
  const stat = await lstat(host).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error
    return undefined
  })
  if (stat === undefined) return undefined
  const isLink = stat.isSymbolicLink() && SYSTEM_DIRECTORIES.includes(guest)
  return isLink ? { kind: 'link', target: await readlink(host), guest } : { kind: 'bind', host, guest }
}
