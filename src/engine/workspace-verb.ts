import type { Sandbox } from '../sandbox/contract.ts'
import { SandboxError } from '../sandbox/contract.ts'
import { runInSandbox } from '../sandbox/run-in-sandbox.ts'

/** Program inside every sandbox that does the git work there; see `guest/workspace.ts`. */
const PROGRAM = ['/swarm/bin/node', '/swarm/guest/swarm-workspace.mjs'] as const
const OUTPUT_BYTES_MAX = 64 * 1024

/**
 * Runs one verb of the workspace program; its arguments travel in a file, so that nothing of them is ever a
 * command line. The same `execId` again gives the result of the first time.
 * @throws SandboxError `sandbox_lost`
 */
export async function runWorkspaceVerb(
  sandbox: Sandbox,
  request: {
    execId: string
    verb: 'open' | 'harvest'
    args: Readonly<Record<string, unknown>>
    timeoutMs: number
    signal: AbortSignal
  },
): Promise<{ code: number | null; message: string }> {
  const argsPath = `/swarm/attempt/${request.execId}.json`
  if ((await sandbox.findExec(request.execId)) === undefined) {
    await sandbox.putFile(argsPath, JSON.stringify(request.args))
  }
  const result = await runInSandbox(
    sandbox,
    {
      execId: request.execId,
      argv: [...PROGRAM, request.verb, argsPath],
      cwd: '/swarm/attempt',
      timeoutMs: request.timeoutMs,
    },
    { outputBytesMax: OUTPUT_BYTES_MAX, signal: request.signal },
  )
  if (result.kind === 'lost') throw new SandboxError('sandbox_lost', result.reason)
  const said = result.stderr.toString('utf8').trim().slice(-2_000)
  return { code: result.code, message: said || `it ended with ${result.code ?? result.signal}` }
}
