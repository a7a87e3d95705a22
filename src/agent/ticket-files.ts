import type { AgentRequest, SandboxFile } from './contract.ts'

/** What every agent finds in its sandbox about its ticket, whatever adapter starts it. */
export function toTicketFiles(request: AgentRequest): readonly SandboxFile[] {
  const { layout, prompt, feedback, ticket } = request
  return [
    toFile(layout.ticket, `${JSON.stringify(ticket, null, 2)}\n`),
    ...(prompt === null ? [] : [toFile(layout.prompt, prompt)]),
    ...(feedback === null ? [] : [toFile(layout.feedback, feedback)]),
    toFile(`${layout.attempt}/input.json`, `${JSON.stringify(toInput(request), null, 2)}\n`),
  ]
}

/** The content of `input.json`. */
function toInput(request: AgentRequest): unknown {
  const { layout } = request
  return {
    inputs: request.inputs,
    ticket: request.ticket,
    run: request.run,
    workspace: request.hasWorkspace ? layout.workspace : null,
    promptPath: request.prompt === null ? null : layout.prompt,
    feedback: request.feedback,
    checks: request.checks,
  }
}

function toFile(path: string, text: string): SandboxFile {
  return { path, mode: 0o644, content: Buffer.from(text) }
}
