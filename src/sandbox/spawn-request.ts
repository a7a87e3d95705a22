import { mkdir, statfs } from 'node:fs/promises'
import { freemem } from 'node:os'
import { join } from 'node:path'
import { SandboxError, type SpawnRequest, type WarmRequest } from './contract.ts'

const MEMORY_FLOOR_MIB = 128
const DISK_FLOOR_MIB = 32

/** What would only fail later, or in a stranger way, is refused here. @throws SandboxError `request_invalid` */
export function checkSpawnRequest(request: SpawnRequest): void {
  checkWarmRequest(request)
  const { deadmanMs, env } = request
  const refuse = refuseRequest(request)
  if (!(deadmanMs >= 1 && deadmanMs < 2 ** 31)) refuse('its dead-man deadline is no time')
  for (const [name, value] of Object.entries(env)) {
    if (name === '' || /[=\0]/.test(name) || value.includes('\0'))
      refuse(`its environment holds ${JSON.stringify(name)}`)
  }
}

/** The same, for the part of a request that is known ahead. */
export function checkWarmRequest(request: WarmRequest): void {
  const { sandboxId, hostname, limits, readOnlyMounts = {} } = request
  const refuse = refuseRequest(request)
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(sandboxId)) refuse('its id is no name')
  if (!/^[A-Za-z0-9-]{1,63}$/.test(hostname)) refuse(`${JSON.stringify(hostname)} is no host name`)
  if (!(limits.memoryMib >= 16 && limits.diskMib >= 1 && limits.processCountMax >= 1))
    refuse('its limits are too small')
  for (const [host, guest] of Object.entries(readOnlyMounts)) {
    const isPlain =
      /^\/(swarm|opt|mnt|srv)(\/[^/]+)+$/.test(guest) &&
      !guest.split('/').some((s) => s === '..' || s === '.')
    if (
      !host.startsWith('/') ||
      `${host}${guest}`.includes('\0') ||
      !isPlain ||
      /^\/swarm\/(guest|bin|gateway)(\/|$)/.test(guest)
    ) {
      refuse(`cannot mount ${host} at ${guest}`)
    }
  }
}

function refuseRequest({ sandboxId }: WarmRequest): (what: string) => never {
  return (what) => {
    throw new SandboxError('request_invalid', `sandbox ${sandboxId}: ${what}`, { data: { sandboxId } })
  }
}

/** Makes the place of the records. @throws SandboxError `host_full` when the host has too little left */
export async function refuseFullHost(stateDir: string): Promise<void> {
  await mkdir(join(stateDir, 'sandboxes'), { recursive: true, mode: 0o700 })
  const memoryMib = freemem() / 2 ** 20
  const { bavail, bsize } = await statfs(stateDir)
  const diskMib = (bavail * bsize) / 2 ** 20
  if (memoryMib >= MEMORY_FLOOR_MIB && diskMib >= DISK_FLOOR_MIB) return
  throw new SandboxError(
    'host_full',
    `only ${Math.floor(memoryMib)} MiB of memory and ${Math.floor(diskMib)} MiB on ${stateDir} are left`,
    { data: { memoryMib, diskMib }, fix: 'lower the number of slots of this host, or free memory and disk' },
  )
}
