import type { ExecExit, ExecRequest, Sandbox } from './contract.ts'

export type SandboxCommandResult =
  | ({
      readonly kind: 'exited'
      readonly stdout: Buffer
      readonly stderr: Buffer
      /** Whether output is missing: beyond `outputBytesMax`, or overwritten before it was read */
      readonly truncated: boolean
    } & ExecExit)
  | { readonly kind: 'lost'; readonly reason: string }

/**
 * Runs a short command in a sandbox and collects its output: `exec` and `attach` in one. When aborted, the
 * command is killed and the signal's reason thrown.
 */
export async function runInSandbox(
  sandbox: Sandbox,
  request: ExecRequest & { readonly timeoutMs: number },
  options: { readonly outputBytesMax: number; readonly signal?: AbortSignal },
): Promise<SandboxCommandResult> {
  options.signal?.throwIfAborted()
  await sandbox.exec(request)
  const kept = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
  const size = { stdout: 0, stderr: 0 }
  let truncated = false
  const attachOptions = options.signal === undefined ? {} : { signal: options.signal }
  for await (const event of sandbox.attach(request.execId, attachOptions)) {
    switch (event.kind) {
      case 'stdout':
      case 'stderr': {
        const part = event.data.subarray(0, Math.max(0, options.outputBytesMax - size[event.kind]))
        if (part.length < event.data.length) truncated = true
        size[event.kind] += part.length
        if (part.length > 0) kept[event.kind].push(part)
        break
      }
      case 'gap':
        truncated = true
        break
      case 'exited':
        return { ...event, stdout: Buffer.concat(kept.stdout), stderr: Buffer.concat(kept.stderr), truncated }
      case 'lost':
        return { kind: 'lost', reason: event.reason }
    }
  }
  if (options.signal?.aborted) {
    await sandbox.signal(request.execId, 'SIGKILL')
    throw options.signal.reason
  }
  return { kind: 'lost', reason: 'the output ended without an exit status' }
}
