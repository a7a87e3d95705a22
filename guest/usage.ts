import { lstatSync, readdirSync, statfsSync } from 'node:fs'
import type { GuestConfig, GuestUsage } from '../src/sandbox/guest-protocol-messages.ts'
import { mapPath } from './path-map.ts'
import { listProcesses, listWorkloads } from './process-tree.ts'
import { sumMemory } from './watchdog.ts'

const TICK_MS = 10
const ENTRY_COUNT_MAX = 5000
/** Large, and changed only when something else changes too */
const SKIPPED = new Set(['node_modules', 'objects', '.venv', 'target'])

export function readUsage(config: GuestConfig, deadmanLeftMs: number): GuestUsage {
  const workloads = listWorkloads(config)
  const all = config.hasPidNamespace ? listProcesses() : workloads
  const workspace = mapPath(config.pathMap, config.workspace)
  const changes = walkChanges(workspace)
  const { blocks, bfree, bsize, ffree } = statfsSync(workspace)
  const ownDisk = config.hasPidNamespace
  return {
    cpuMs: all.reduce((sum, { cpuTicks }) => sum + cpuTicks, 0) * TICK_MS,
    memoryBytes: sumMemory(workloads),
    processCount: workloads.filter(({ isZombie }) => !isZombie).length,
    diskBytes: ownDisk ? (blocks - bfree) * bsize : changes.bytes,
    fileMarker: `${ownDisk ? `${bfree}.${ffree}.` : ''}${changes.count}.${changes.newestMs}`,
    deadmanLeftMs: Math.round(deadmanLeftMs),
  }
}

/** Number, size and newest change of the files, of the first few thousand. */
function walkChanges(root: string): { count: number; newestMs: number; bytes: number } {
  const result = { count: 0, newestMs: 0, bytes: 0 }
  const directories = [root]
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    for (const name of namesIn(directory)) {
      const path = `${directory}/${name}`
      const stat = lstatSync(path, { throwIfNoEntry: false })
      if (stat === undefined) continue
      result.count++
      result.bytes += stat.size
      result.newestMs = Math.max(result.newestMs, stat.ctimeMs)
      if (stat.isDirectory() && !SKIPPED.has(name)) directories.push(path)
      if (result.count >= ENTRY_COUNT_MAX) return result
    }
  }
  return result
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    // Removed in between, or closed by its owner: nothing to see there.
    return []
  }
}
