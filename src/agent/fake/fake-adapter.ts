import { readFile } from 'node:fs/promises'
import type { JsonObject } from '../../domain/json.ts'
import type { AgentAdapter, AgentPackage, AgentRequest } from '../contract.ts'
import { createEventReader } from '../event-lines.ts'
import { interpretEnd } from '../interpret-end.ts'
import { toPathEnv } from '../path-env.ts'
import { toTicketFiles } from '../ticket-files.ts'

/** The program, as source or as built. It runs in sandboxes only, so it lies apart from what runs on the host. */
const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const PROGRAM = new URL(`../shipped/fake-agent.${EXTENSION}`, import.meta.url)
const PROGRAM_NAME = EXTENSION === 'ts' ? 'fake-agent.ts' : 'fake-agent.mjs'

/** An agent that does what `inputs.fake` (a list of `FakeStep`) says, in any sandbox that runs programs. */
export function createFakeAdapter(): AgentAdapter {
  return {
    name: 'fake',
    capabilities: { resume: false, send: false, interrupt: false },
    async prepare(request, signal) {
      const content = await readFile(PROGRAM, { signal })
      const program = { path: toProgramPath(request), mode: 0o644, content }
      return { files: [program, ...toTicketFiles(request)], env: {} }
    },
    command(request) {
      const { layout } = request
      const outputPath = `${layout.attempt}/output.json`
      return {
        argv: [
          layout.node,
          '--disable-warning=ExperimentalWarning',
          toProgramPath(request),
          `${layout.attempt}/input.json`,
          outputPath,
        ],
        cwd: layout.attempt,
        env: toPathEnv(request),
        outputPath,
      }
    },
    openEvents: createEventReader,
    interpret: (request, end) => interpretEnd(request.package, end),
  }
}

function toProgramPath({ layout }: AgentRequest): string {
  return `${layout.agent}/${PROGRAM_NAME}`
}

/** The package that goes with the fake adapter: takes and gives any object. */
export function createFakePackage(changes: Partial<AgentPackage> = {}): AgentPackage {
  const accept = async (value: unknown) => ({ ok: true as const, value: value as JsonObject })
  return {
    name: 'fake',
    version: '1.0.0',
    description: 'Does what its input says',
    digest: '',
    directory: '',
    runtime: 'node',
    entry: PROGRAM_NAME,
    workspace: 'none',
    memoryMib: 256,
    timeoutMs: 60_000,
    network: { hosts: [], models: [] },
    capabilities: { resume: false, send: false, interrupt: false },
    checkInputs: accept,
    checkOutputs: accept,
    ...changes,
  }
}
