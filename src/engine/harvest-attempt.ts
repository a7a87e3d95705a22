import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SANDBOX_LAYOUT } from '../agent/contract.ts'
import type { Finding } from '../forge/mirror-contract.ts'
import { toWorkRef } from '../forge/work-ref.ts'
import type { Sandbox } from '../sandbox/contract.ts'
import type { AttemptContext } from './attempt-context.ts'
import { AttemptFailure } from './attempt-failure.ts'
import type { LiveAttempt } from './launch-attempt.ts'
import { withTransferDirectory } from './transfer-directory.ts'
import { runWorkspaceVerb } from './workspace-verb.ts'

/** The commit, or `null` when nothing was changed, and what a reviewer should look at. */
export type BroughtHome = { readonly commit: string | null; readonly findings: readonly string[] }

const NOTHING: BroughtHome = { commit: null, findings: [] }
const FINDING_COUNT_MAX = 50
const HARVEST_TIMEOUT_MS = 10 * 60_000
const BUNDLE_BYTES_MAX = 256 * 1024 * 1024
const NOTE_BYTES_MAX = 1024 * 1024

/**
 * Brings the work in the workspace home: the guest makes a bundle inside the sandbox, uncommitted work included,
 * and the mirror takes it in after its checks. Repeating it gives the same commit.
 * @throws AttemptFailure `result_invalid` when the work is refused
 */
export async function bringWorkHome(
  context: AttemptContext,
  live: LiveAttempt,
  signal: AbortSignal,
): Promise<BroughtHome> {
  const { deps, state, instance, attempt } = context
  const { sandbox } = live
  const repository = deps.forges.find(state.project)
  const { baseCommit } = attempt
  if (baseCommit === null || repository === undefined) return NOTHING
  const harvested = await runWorkspaceVerb(sandbox, {
    execId: 'workspace-harvest',
    verb: 'harvest',
    args: {
      workspace: SANDBOX_LAYOUT.workspace,
      base: baseCommit,
      bundle: `${SANDBOX_LAYOUT.attempt}/work.bundle`,
      note: `${SANDBOX_LAYOUT.attempt}/work.json`,
      message: `${state.ticket.key}: ${oneLine(state.ticket.title)}`,
      trailers: { 'Swarm-Ticket': state.ticket.key, 'Swarm-Run': state.run.id, 'Swarm-Step': instance.key },
    },
    timeoutMs: HARVEST_TIMEOUT_MS,
    signal,
  })
  if (harvested.code !== 0) {
    throw new AttemptFailure('result_invalid', `the work could not be collected: ${harvested.message}`)
  }
  const note = await readNote(sandbox)
  if (!note.changed) return NOTHING
  return await withTransferDirectory(deps.settings.stateDir, `${sandbox.id}-harvest`, async (directory) => {
    const path = join(directory, 'work.bundle')
    const bundle = await sandbox.getFile(`${SANDBOX_LAYOUT.attempt}/work.bundle`, {
      bytesMax: BUNDLE_BYTES_MAX,
    })
    await writeFile(path, bundle, { mode: 0o600 })
    const mirror = await repository.forge.openMirror(repository.project, signal)
    const outcome = await mirror.importBundle(
      {
        path,
        ref: toWorkRef({
          runId: state.run.id,
          step: instance.stepId,
          instance: instance.index ?? 0,
          attempt: attempt.number,
        }),
        expectedBase: baseCommit,
        expectedCommit: note.commit,
      },
      signal,
    )
    if (outcome.kind === 'imported') {
      return {
        commit: outcome.commit,
        findings: outcome.findings.slice(0, FINDING_COUNT_MAX).map(describeFinding),
      }
    }
    if (outcome.kind === 'no-change') return NOTHING
    throw new AttemptFailure('result_invalid', `the work was refused (${outcome.code}): ${outcome.detail}`)
  })
}

function describeFinding({ kind, path, detail }: Finding): string {
  return `${kind.replaceAll('_', ' ')}: ${path}${detail === undefined ? '' : ` (${detail})`}`
}

/** What the guest says it made; hostile until the mirror has looked. */
async function readNote(sandbox: Sandbox): Promise<{ changed: boolean; commit: string }> {
  const bytes = await sandbox.getFile(`${SANDBOX_LAYOUT.attempt}/work.json`, { bytesMax: NOTE_BYTES_MAX })
  let note: unknown
  try {
    note = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new AttemptFailure('result_invalid', 'the note about the work is not JSON')
  }
  const { changed, commit } = (note ?? {}) as { changed?: unknown; commit?: unknown }
  if (changed !== true) return { changed: false, commit: '' }
  if (typeof commit !== 'string' || !/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(commit)) {
    throw new AttemptFailure('result_invalid', 'the note about the work names no commit')
  }
  return { changed: true, commit }
}

function oneLine(text: string): string {
  return text
    .replace(/[\u0000-\u001f\u007f]+/g, ' ')
    .trim()
    .slice(0, 200)
}
