import { type FSWatcher, watch } from 'node:fs'

/** Tells readers of this process at once that a log has grown. */
export type LogGrowth = {
  announce(folder: string): void
  /**
   * Resolves when the log may have grown: by word of this process, by the system's watch, or after a while in any
   * case, because a watch may be missing (network file systems) or exhausted.
   */
  watch(folder: string): GrowthWatch
}

export type GrowthWatch = {
  /** NOTE: take the promise before looking at the file, so that growth in between is not missed. */
  next(signal: AbortSignal | undefined): Promise<void>
  close(): void
}

const POLL_MS = 500

export function createLogGrowth(): LogGrowth {
  const wakersByFolder = new Map<string, Set<() => void>>()

  return {
    announce(folder) {
      for (const wake of wakersByFolder.get(folder) ?? []) wake()
    },
    watch(folder) {
      let grown = Promise.withResolvers<void>()
      const wake = () => {
        grown.resolve()
        grown = Promise.withResolvers<void>()
      }
      const wakers = wakersByFolder.get(folder) ?? new Set()
      wakersByFolder.set(folder, wakers.add(wake))
      const watcher = watchFolder(folder, wake)
      return {
        next: async (signal) => await raceGrowth(grown.promise, signal),
        close() {
          watcher?.close()
          wakers.delete(wake)
          if (wakers.size === 0) wakersByFolder.delete(folder)
        },
      }
    },
  }
}

function watchFolder(folder: string, wake: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, wake)
    // Polling goes on without it.
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return undefined
  }
}

async function raceGrowth(grown: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  const { promise: passed, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, POLL_MS)
  const onAbort = () => resolve()
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted === true) resolve()
  try {
    await Promise.race([grown, passed])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}
