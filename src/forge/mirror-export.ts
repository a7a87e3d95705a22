import { rename, rm, stat } from 'node:fs/promises'
import type { MirrorRepository } from './bare-mirror.ts'
import { ForgeError } from './contract.ts'
import type { CommitHash } from './mirror-contract.ts'
import { assertCommit, resolveCommit } from './mirror-read.ts'
import { withScratchRepository } from './scratch-repository.ts'

/** The one head of a bundle that goes into a sandbox. */
const BASE_REF = 'refs/swarm/base'
const TIMEOUT_MS = 600_000

/** A bundle is made from the commit's history alone; refs of other tickets are not even in the repository it is made in. */
export async function exportBundle(
  mirror: MirrorRepository,
  input: { readonly commit: CommitHash; readonly path: string },
  signal: AbortSignal,
): Promise<{ readonly bytes: number }> {
  const commit = assertCommit(input.commit)
  if ((await resolveCommit(mirror, commit, signal)) === undefined) {
    throw new ForgeError('repository_missing', `the mirror has no commit ${commit}`)
  }
  const unfinished = `${input.path}.part`
  try {
    await withScratchRepository(mirror, { [BASE_REF]: commit }, signal, async (gitDir) => {
      await mirror.git({
        attempt: `bundle the history of ${commit}`,
        args: ['bundle', 'create', '--quiet', unfinished, BASE_REF],
        gitDir,
        signal,
        timeoutMs: TIMEOUT_MS,
      })
    })
    await rename(unfinished, input.path)
  } finally {
    await rm(unfinished, { force: true })
  }
  return { bytes: (await stat(input.path)).size }
}
