/** A backup cannot be made or taken back; the message says what was tried and what to do. Nothing was changed. */
export class BackupError extends Error {
  override readonly name = 'BackupError'
  readonly code:
    | 'target_exists'
    | 'target_refused'
    | 'unsupported'
    | 'damaged'
    | 'newer_version'
    | 'not_empty'

  constructor(code: BackupError['code'], message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}
