import type { GuestErrorCode, GuestErrorObject } from '../src/sandbox/guest-protocol-messages.ts'

/** Trouble that the host hears of, by code. */
export class GuestError extends Error {
  readonly code: GuestErrorCode
  constructor(code: GuestErrorCode, message: string) {
    super(message)
    this.name = 'GuestError'
    this.code = code
  }
}

const CODES: Readonly<Record<string, GuestErrorCode>> = {
  ENOENT: 'not_found',
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  ENOTDIR: 'path_refused',
  EISDIR: 'path_refused',
  ELOOP: 'path_refused',
  EACCES: 'path_refused',
  EPERM: 'path_refused',
  EROFS: 'path_refused',
  ENAMETOOLONG: 'path_refused',
}

export function toErrorObject(error: unknown): GuestErrorObject {
  const { code, message } = error as NodeJS.ErrnoException
  const text = String(message ?? error)
    .replaceAll('\0', '')
    .slice(0, 1000)
  if (error instanceof GuestError) return { code: error.code, message: text }
  return { code: CODES[code ?? ''] ?? 'guest_failed', message: text }
}
