import { readFileSync } from 'node:fs'
import type { GuestConfig } from '../src/sandbox/guest-protocol-messages.ts'
import type { Exec } from './exec.ts'
import { listWorkloads, type ProcessRow } from './process-tree.ts'

const PERIOD_MS = 200
const PAGE_BYTES = 4096

/**
 * Looks at memory and process count while something runs. It is the whole limit where the kernel enforces
 * none, and names the limit that fired where it does.
 */
export function startWatchdog(config: GuestConfig, running: () => readonly Exec[]): () => void {
  const { memoryBytesMax, processCountMax } = config
  if (memoryBytesMax === undefined && processCountMax === undefined) return () => {}
  const timer = setInterval(() => {
    const rows = listWorkloads(config)
    if (memoryBytesMax !== undefined && sumMemory(rows) > memoryBytesMax) {
      for (const exec of running()) exec.terminate('memory')
    }
    if (processCountMax === undefined) return
    const count = rows.reduce((sum, { threadCount }) => sum + threadCount, 0)
    if (count > processCountMax * 1.1) for (const exec of running()) exec.terminate('processes')
    else if (count >= processCountMax) for (const exec of running()) exec.noteLimit('processes')
  }, PERIOD_MS)
  return () => clearInterval(timer)
}

/** Memory that belongs to these processes alone (not files, not shared), bytes */
export function sumMemory(rows: readonly ProcessRow[]): number {
  let pages = 0
  for (const { pid } of rows) {
    try {
      const [, resident, shared] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ').map(Number)
      pages += Math.max(0, (resident ?? 0) - (shared ?? 0))
    } catch {
      // It ended in between.
    }
  }
  return pages * PAGE_BYTES
}
