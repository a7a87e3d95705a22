import { getSystemErrorMessage } from 'node:util'

/** What the system said, in words: `no such file or directory`. */
export function describeSystemError(error: unknown): string {
  const { errno, code } = error as NodeJS.ErrnoException
  // Node itself refuses some calls with the positive number.
  if (typeof errno === 'number') return getSystemErrorMessage(-Math.abs(errno))
  return code ?? String(error)
}

/** Whether the operating system said no: nobody's program is wrong, and a stack helps nobody. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'errno' in error && typeof error.errno === 'number' && 'syscall' in error
}
