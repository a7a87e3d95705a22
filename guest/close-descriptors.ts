import { closeSync, readdirSync, readFileSync } from 'node:fs'

const O_CLOEXEC = 0o2000000

/**
 * Closes what this program inherited beside its own: whoever started the daemon may have left descriptors open
 * that lead out of the sandbox, and a workload would inherit them in turn. Ours are marked to be closed then.
 */
export function closeInheritedDescriptors(keep: readonly number[]): void {
  for (const fd of readdirSync('/proc/self/fd').map(Number)) {
    if (!keep.includes(fd) && !isClosedOnExec(fd)) closeSync(fd)
  }
}

/** The descriptor of the listing itself is gone by now, and counts as closed. */
function isClosedOnExec(fd: number): boolean {
  try {
    const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1]
    return (Number.parseInt(flags ?? '0', 8) & O_CLOEXEC) !== 0
  } catch {
    return true
  }
}
