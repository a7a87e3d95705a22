import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Config } from './config/config.ts'
import type { Host } from './domain/records.ts'
import { readBootId, readProcessStartTime } from './platform/process-identity.ts'
import type { Store } from './store/contract.ts'
import { ConflictError } from './store/errors.ts'

/** Silence after which a host's name is free for another machine, `ms` */
const SILENT_MS = 60_000

/**
 * Enters this start of the coordinator in the store.
 * @throws ConflictError when a living coordinator of a shared store has the same name
 */
export async function registerHost(store: Store, config: Config): Promise<Host> {
  const name = config.hostName ?? hostname()
  const bootId = await readBootId()
  if (!store.capabilities.isExclusive) await assertFree(store, name, bootId)
  return await store.write.registerHost({
    name,
    // Every start is a new holder, so that what an earlier one left can be told from what this one holds.
    holder: `${name}:${process.pid}:${randomBytes(6).toString('hex')}`,
    pid: process.pid,
    bootId,
    slotCount: config.slotCount,
  })
}

async function assertFree(store: Store, name: string, bootId: string): Promise<void> {
  const known = (await store.read.listHosts()).find((host) => host.name === name)
  if (known === undefined || known.stoppedAt !== null) return
  const isHere = known.bootId === bootId
  const isLiving = isHere
    ? known.pid !== process.pid && (await readProcessStartTime(known.pid)) !== undefined
    : known.lastSeenAt > store.now() - SILENT_MS
  if (!isLiving) return
  const who = isHere
    ? `process ${known.pid} of this machine`
    : 'another machine, seen less than a minute ago,'
  throw new ConflictError(
    `${who} is the coordinator of host ${name} in this store: give this one another name, host: in the configuration`,
  )
}
