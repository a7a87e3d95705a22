import { toAbsolutePath } from '../../platform/paths.ts'
import type { CliContext } from '../context.ts'

/** A path is meant from here, and the daemon stands elsewhere; anything with a scheme or a host stays. */
export function toRepositoryUrl({ places }: CliContext, written: string): string {
  const isPath = written.startsWith('.') || written.startsWith('~/') || written.startsWith('/')
  return isPath ? toAbsolutePath(written, places.workingDirectory, places) : written
}
