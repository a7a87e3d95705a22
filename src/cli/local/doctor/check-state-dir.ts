import { access, constants, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Check, fail, ok, warn } from './check.ts'

const MIB = 1024 * 1024
const FREE_MIB_MIN = 512
const FREE_MIB_GOOD = 4096
/** `sun_path` holds 108 bytes; the longest socket below is the gateway's of an attempt */
const PATH_BYTES_GOOD = 60

/** Whether the daemon may write there, nobody else may, and there is room. */
export async function checkStateDir(path: string): Promise<Check[]> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => error)
  if (found instanceof Error) return [await checkMissing(path, found)]
  if (!found.isDirectory())
    return [fail('state directory', `${path} is not a directory`, 'choose another with --state-dir')]
  return [await checkAccess(path, found.mode, found.uid), ...(await checkSpace(path)), ...checkLength(path)]
}

async function checkMissing(path: string, error: NodeJS.ErrnoException): Promise<Check> {
  if (error.code !== 'ENOENT')
    return fail('state directory', `cannot look at ${path}: ${error.code}`, 'become its owner')
  const parent = await findExistingParent(path)
  const canMake = await access(parent, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )
  if (canMake) return warn('state directory', `${path} does not exist yet`, 'swarm init')
  return fail(
    'state directory',
    `${path} cannot be made: ${parent} is not ours`,
    'choose another with --state-dir',
  )
}

async function checkAccess(path: string, mode: number, ownerId: number): Promise<Check> {
  const userId = process.getuid?.()
  if (ownerId !== userId) {
    return fail(
      'state directory',
      `${path} belongs to user ${ownerId}, this is ${userId}`,
      'become that user',
    )
  }
  if ((mode & 0o022) !== 0)
    return fail('state directory', `${path} can be written by others`, `chmod 700 ${path}`)
  if ((mode & 0o077) !== 0)
    return warn('state directory', `${path} can be entered by others`, `chmod 700 ${path}`)
  const isWritable = await access(path, constants.R_OK | constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )
  return isWritable
    ? ok('state directory', path)
    : fail('state directory', `${path} cannot be written`, `chmod u+rwx ${path}`)
}

async function checkSpace(path: string): Promise<Check[]> {
  const { bavail, bsize } = await statfs(path)
  const freeMib = Math.floor((bavail * bsize) / MIB)
  const fix = 'make room, or choose another disk with --state-dir'
  if (freeMib < FREE_MIB_MIN) return [fail('free space', `${freeMib} MiB`, fix)]
  return [
    freeMib < FREE_MIB_GOOD ? warn('free space', `${freeMib} MiB`, fix) : ok('free space', `${freeMib} MiB`),
  ]
}

function checkLength(path: string): Check[] {
  if (Buffer.byteLength(path) <= PATH_BYTES_GOOD) return []
  const fix = 'choose a shorter one with --state-dir'
  return [warn('state directory length', 'a socket below it may get too long a name', fix)]
}

async function findExistingParent(path: string): Promise<string> {
  let parent = dirname(path)
  while (parent !== dirname(parent)) {
    const isThere = await stat(parent).then(
      () => true,
      () => false,
    )
    if (isThere) return parent
    parent = dirname(parent)
  }
  return parent
}
