import { constants, open, realpath } from 'node:fs/promises'
import { resolve, sep } from 'node:path'
import { downloadArtifactSpec } from '../../rest-schema/operations/runs.ts'
import type { Store } from '../../store/contract.ts'
import { NotFoundError } from '../../store/errors.ts'
import { toByteStream } from '../byte-stream.ts'
import { operation } from '../operation.ts'
import { ApiProblem } from '../problem.ts'

export type DownloadArtifactDeps = {
  readonly store: Pick<Store, 'read'>
  readonly config: { readonly stateDirectory: string }
  /** Aborts when the API closes */
  readonly ended: AbortSignal
}

export function downloadArtifact({ store, config, ended }: DownloadArtifactDeps) {
  return operation(downloadArtifactSpec, async ({ params: { runId, artifactId } }) => {
    const artifacts = await store.read.listArtifacts(runId)
    const artifact = artifacts.find(({ id }) => id === artifactId)
    if (artifact === undefined) throw new NotFoundError('artifact', artifactId)
    // Only whether it is there: a body that nobody reads (HEAD) is never begun, and nobody would close the file.
    await (await openInside(config.stateDirectory, artifact.path)).close()
    const body = toByteStream(() => readAll(config.stateDirectory, artifact.path), ended)
    return new Response(body, {
      headers: {
        // Never shown by a browser as a page of ours, whatever an agent wrote.
        'content-type': 'application/octet-stream',
        'content-disposition': toContentDisposition(artifact.name),
        'content-length': String(artifact.byteCount),
        'x-content-sha256': artifact.sha256,
      },
    })
  })
}

type OpenFile = Awaited<ReturnType<typeof open>>

/** The caller closes it. Never follows a link out of the folder. */
async function openInside(stateDirectory: string, path: string): Promise<OpenFile> {
  try {
    const root = await realpath(stateDirectory)
    const real = await realpath(resolve(root, path))
    if (!real.startsWith(`${root}${sep}`)) throw new Error(`${path} lies outside the state directory`)
    const file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW)
    if ((await file.stat()).isFile()) return file
    await file.close()
    throw new Error(`${path} is no file`)
  } catch (error) {
    throw new ApiProblem(410, 'artifact_gone', 'the bytes of the artifact are not there any more', {
      cause: error,
    })
  }
}

async function* readAll(stateDirectory: string, path: string): AsyncIterable<Uint8Array> {
  const file = await openInside(stateDirectory, path)
  try {
    yield* file.createReadStream({ autoClose: false })
  } finally {
    await file.close()
  }
}

function toContentDisposition(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 100)
  return `attachment; filename="${plain}"; filename*=UTF-8''${encodeURIComponent(name.toWellFormed())}`
}
