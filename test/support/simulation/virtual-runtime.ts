/**
 * Timers, clocks and folders of Node as simulated processes see them. What belongs to no simulated process, the test
 * runner above all, gets the real ones.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { findCurrent, type Turn } from './virtual-time.ts'

/** The state directory of every simulated coordinator: what is done to files below it is done to nothing. */
export const SIMULATED_FOLDER = '/simulated'

type Callback = (...values: unknown[]) => void
type PromisedTimer = (ms: number, value?: unknown, options?: { signal?: AbortSignal }) => Promise<unknown>
type FileCall = (path: string, ...more: unknown[]) => Promise<unknown>

/** Stands where Node gives a `Timeout`. */
class VirtualTimer {
  turn: Turn | undefined
  unref(): this {
    return this
  }
  ref(): this {
    return this
  }
  cancel(): void {
    if (this.turn !== undefined) this.turn.isCanceled = true
    this.turn = undefined
  }
}

/** Replaces them. @returns what puts the real ones back */
export function enterVirtualRuntime(): () => void {
  const require = createRequire(import.meta.url)
  // Node's modules as objects, whose members everybody who imports them sees.
  const timers = require('node:timers/promises') as { setTimeout: PromisedTimer }
  const files = require('node:fs/promises') as Record<'mkdir' | 'rm' | 'readdir', FileCall>
  const hooks = require('node:perf_hooks') as { monitorEventLoopDelay: (...input: unknown[]) => unknown }
  const undo: (() => void)[] = []
  const replace = <T extends object, K extends keyof T>(owner: T, name: K, make: (real: T[K]) => T[K]) => {
    const real = owner[name]
    owner[name] = make(real)
    undo.push(() => {
      owner[name] = real
    })
  }
  replaceTimers(replace)
  replace(performance, 'now', (real) => () => findCurrent()?.time.now ?? real.call(performance))
  replace(AbortSignal, 'timeout', (real) => (ms) => {
    if (findCurrent() === undefined) return real.call(AbortSignal, ms)
    const ending = new AbortController()
    const reason = new DOMException('The operation was aborted due to timeout', 'TimeoutError')
    setTimeout(() => ending.abort(reason), ms)
    return ending.signal
  })
  replace(timers, 'setTimeout', (real) => async (ms, value, options) => {
    if (findCurrent() === undefined) return await real(ms, value, options)
    await new Promise<void>((resolve, reject) => {
      setTimeout(resolve, ms)
      options?.signal?.addEventListener('abort', () => reject(options.signal?.reason), { once: true })
    })
    return value
  })
  for (const name of ['mkdir', 'rm', 'readdir'] as const) {
    replace(files, name, (real) => async (path, ...more) => {
      if (String(path).startsWith(SIMULATED_FOLDER)) return name === 'readdir' ? [] : undefined
      return await real(path, ...more)
    })
  }
  const meter = { enable: () => true, disable: () => true, reset: () => {}, percentile: () => 0 }
  replace(
    hooks,
    'monitorEventLoopDelay',
    (real) =>
      (...input) =>
        findCurrent() === undefined ? real(...input) : meter,
  )
  syncBuiltinESMExports()
  return () => {
    for (const putBack of undo.reverse()) putBack()
    syncBuiltinESMExports()
  }
}

function replaceTimers(
  replace: <K extends keyof typeof globalThis>(
    owner: typeof globalThis,
    name: K,
    make: (real: (typeof globalThis)[K]) => (typeof globalThis)[K],
  ) => void,
): void {
  const begin = (run: Callback, ms: number, values: unknown[], isRepeated: boolean) => {
    const here = findCurrent()
    if (here === undefined) return undefined
    const timer = new VirtualTimer()
    const fire = () => {
      if (isRepeated) timer.turn = here.time.schedule(here.process, Math.max(1, ms), fire)
      run(...values)
    }
    timer.turn = here.time.schedule(here.process, Math.max(1, ms), fire)
    return timer
  }
  // Only what the code under test uses of a timer is there.
  const start = (isRepeated: boolean) => (real: unknown) =>
    ((run: Callback, ms = 1, ...values: unknown[]) =>
      begin(run, ms, values, isRepeated) ??
      (real as (...input: unknown[]) => unknown)(run, ms, ...values)) as never
  const end = (real: unknown) =>
    ((timer: unknown) =>
      timer instanceof VirtualTimer ? timer.cancel() : (real as (timer: unknown) => void)(timer)) as never
  replace(globalThis, 'setTimeout', start(false))
  replace(globalThis, 'setInterval', start(true))
  replace(globalThis, 'clearTimeout', end)
  replace(globalThis, 'clearInterval', end)
}
