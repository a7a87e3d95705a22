import {
  type DirectoryFile,
  DirectoryRefusedError,
  digestFiles,
  readDirectoryFiles,
} from '../../platform/directory-files.ts'
import {
  type AgentAdapter,
  type AgentCommand,
  type AgentPackage,
  type AgentPreparation,
  type AgentRequest,
  type AgentRuntime,
  AgentTroubleError,
  type SandboxLayout,
} from '../contract.ts'
import { createEventReader } from '../event-lines.ts'
import { interpretEnd } from '../interpret-end.ts'
import { toPathEnv } from '../path-env.ts'
import { toTicketFiles } from '../ticket-files.ts'

/** As for the registry: what it would not take is not started either */
const PACKAGE_LIMITS = { fileCountMax: 500, bytesMax: 16 * 1024 * 1024 }

/** Runs agent packages: `<runtime> <entry> <input.json> <output.json>` in the attempt's directory. */
export function createPackageAdapter(): AgentAdapter {
  return {
    name: 'package',
    capabilities: { resume: false, send: false, interrupt: false },
    prepare,
    command: toCommand,
    openEvents: createEventReader,
    interpret: (request, end) => interpretEnd(request.package, end),
  }
}

async function prepare(request: AgentRequest, signal: AbortSignal): Promise<AgentPreparation> {
  const files = await readPackage(request.package, signal)
  const agentFiles = files.map(({ path, isExecutable, content }) => ({
    path: `${request.layout.agent}/${path}`,
    mode: isExecutable ? 0o755 : 0o644,
    content,
  }))
  return { files: [...agentFiles, ...toTicketFiles(request)], env: {} }
}

/** What runs is what was registered, bit for bit. */
async function readPackage(agent: AgentPackage, signal: AbortSignal): Promise<readonly DirectoryFile[]> {
  const { name, version, directory } = agent
  let files: readonly DirectoryFile[]
  try {
    files = await readDirectoryFiles(directory, PACKAGE_LIMITS, signal)
  } catch (cause) {
    if (signal.aborted) throw cause
    const code = cause instanceof DirectoryRefusedError ? 'package_changed' : 'package_missing'
    throw new AgentTroubleError(
      code,
      name,
      `cannot read agent ${name} ${version} in ${directory}: register it again`,
      {
        cause,
      },
    )
  }
  if (digestFiles(files) !== agent.digest) {
    throw new AgentTroubleError(
      'package_changed',
      name,
      `the files of agent ${name} ${version} in ${directory} are not those that were registered: register them as a new version`,
    )
  }
  return files
}

function toCommand(request: AgentRequest): AgentCommand {
  const { package: agent, layout } = request
  const entry = `${layout.agent}/${agent.entry}`
  const outputPath = `${layout.attempt}/output.json`
  return {
    argv: [...toInterpreter(agent.runtime, layout), entry, `${layout.attempt}/input.json`, outputPath],
    cwd: layout.attempt,
    env: toPathEnv(request),
    outputPath,
  }
}

function toInterpreter(runtime: AgentRuntime, layout: SandboxLayout): readonly string[] {
  switch (runtime) {
    case 'node':
      // Node 22 names type stripping an experiment on stderr; the agent's own output should stand alone.
      return [layout.node, '--disable-warning=ExperimentalWarning']
    case 'bash':
    case 'sh':
    case 'python3':
      return [runtime]
    case 'exec':
      return []
  }
}
