import { CliError } from '../cli-error.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'

const EXIT_BY_CODE: Readonly<Record<string, ExitCode>> = {
  target_exists: EXIT.conflict,
  not_empty: EXIT.conflict,
  locked: EXIT.conflict,
  target_refused: EXIT.usage,
  unsupported: EXIT.usage,
}

/** Trouble of backup, store and mirrors in words for a person; anything else stays what it is. */
export function asCliError(error: unknown): unknown {
  if (!(error instanceof Error) || !['BackupError', 'StoreError', 'ForgeError'].includes(error.name))
    return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'failed'
  return new CliError(EXIT_BY_CODE[code] ?? EXIT.failed, error.message, { code, cause: error })
}
