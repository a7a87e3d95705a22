import { stringify } from 'yaml'
import { type Findings, isObject, parseForeignJson } from './findings.ts'
import { quote } from './foreign-name.ts'

/** A row of agents whose directory has no `agent.yaml`. */
export type ForeignAgent = {
  /** As ours are written */
  readonly name: string
  readonly version: string
  readonly description: string | undefined
  readonly runtime: string | undefined
  /** JSON, or words with commas */
  readonly capabilities: string | undefined
  readonly entry: string | undefined
  readonly files: readonly { readonly path: string }[]
}

/**
 * The text of an `agent.yaml` for a program that has none; what ours cannot say is reported. The caller parses it
 * as any other manifest.
 */
export function toAgentManifest(agent: ForeignAgent, findings: Findings): string | undefined {
  const runtime = toRuntime(agent.runtime, findings)
  const entry = runtime === undefined ? undefined : findEntry(agent, runtime, findings)
  const able = toCapabilities(agent.capabilities, findings)
  if (entry === undefined || findings.problems.length > 0) return undefined
  findings.notes.push(`agent.yaml was made for it: ${runtime} ${entry}, inputs and outputs of any shape`)
  const description = toDescription(agent, findings)
  const manifest = {
    name: agent.name,
    version: agent.version,
    description,
    runtime,
    entry,
    ...able,
    inputs: { type: 'object' },
    outputs: { type: 'object' },
  }
  return stringify(manifest, { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN', lineWidth: 0 })
}

const DESCRIPTION_CHARS_MAX = 1_000

function toDescription({ name, description = '' }: ForeignAgent, { changes }: Findings): string {
  if (description.trim() === '') {
    changes.push('description: it has none, it is now its name')
    return name
  }
  if (description.length <= DESCRIPTION_CHARS_MAX) return description
  changes.push(`description: cut to ${DESCRIPTION_CHARS_MAX} characters`)
  return `${description.slice(0, DESCRIPTION_CHARS_MAX - 1)}…`
}

type Runtime = keyof typeof RUNTIMES

/** What each of ours is called elsewhere, and the files that are tried as entry. */
const RUNTIMES = {
  node: {
    words: /^(node(js|\.js)?|javascript|js|typescript|ts|esm)$/,
    entries: ['index', 'main', 'agent'],
    endings: ['js', 'mjs', 'cjs', 'ts', 'mts'],
  },
  python3: { words: /^(python|py)$/, entries: ['main', 'agent', '__main__'], endings: ['py'] },
  bash: { words: /^(bash|shell|\/bin\/bash)$/, entries: ['main', 'agent', 'run'], endings: ['sh', 'bash'] },
  sh: { words: /^(sh|posix|\/bin\/sh)$/, entries: ['main', 'agent', 'run'], endings: ['sh'] },
  exec: { words: /^(exec|binary|executable)$/, entries: ['main', 'agent', 'run'], endings: [''] },
} as const

function toRuntime(text: string | undefined, { changes, problems }: Findings): Runtime | undefined {
  // `node20`, `node:20-slim`, `python3.11`: the sandbox has one of each.
  const word =
    text
      ?.trim()
      .toLowerCase()
      .replace(/^([a-z/.]*[a-z])[ :@-]?v?\d[\w.-]{0,30}$/, '$1') ?? ''
  const names = Object.keys(RUNTIMES) as Runtime[]
  const runtime = names.find((name) => RUNTIMES[name].words.test(word))
  const known = 'node, python3, bash, sh and exec (a program that starts by itself)'
  if (runtime === undefined) {
    const said = text === undefined ? 'it names no runtime' : `its runtime ${quote(text)} is not one of ours`
    const fix = 'put an agent.yaml into its directory, with an entry in one of them that starts it'
    problems.push(
      `${said}: Swarm starts ${known}; ${fix}, or give --value agents.runtime=<runtime> for rows without`,
    )
  } else if (text?.trim().toLowerCase() !== runtime) {
    const version = runtime === 'node' ? ' (Node 24)' : ''
    changes.push(`runtime: ${quote(text ?? '')} is now ${runtime}${version}`)
  }
  return runtime
}

function findEntry(agent: ForeignAgent, runtime: Runtime, { problems }: Findings): string | undefined {
  const paths = new Set(agent.files.map(({ path }) => path))
  const fix = 'say which file it is with --column agents.entry=<column> or --value agents.entry=<file>'
  if (agent.entry !== undefined) {
    const entry = agent.entry.replace(/^\.\//, '')
    if (paths.has(entry)) return entry
    problems.push(`its directory has no file ${quote(entry)}, which is to be its entry`)
    return undefined
  }
  const { entries, endings } = RUNTIMES[runtime]
  const usual = entries.flatMap((entry) =>
    endings.map((ending) => (ending === '' ? entry : `${entry}.${ending}`)),
  )
  const found = usual.filter((path) => paths.has(path))
  if (found.length === 1) return found[0]
  if (found.length > 1) problems.push(`${found.join(' or ')} could be its entry: ${fix}`)
  else problems.push(`its directory has none of ${usual.join(', ')}: ${fix}`)
  return undefined
}

const OURS = ['resume', 'send', 'interrupt']
const WORKSPACE = /^(workspace|repository|repo|git)$/

/** The keys of a manifest that follow from what the row says the agent can do. */
function toCapabilities(text: string | undefined, findings: Findings): Record<string, unknown> {
  const capabilities: string[] = []
  const leftOut: string[] = []
  let workspace: 'optional' | undefined
  const network: Record<string, unknown> = {}
  for (const [name, value] of listCapabilities(text, findings)) {
    const word = name.trim().toLowerCase()
    if (value === false || value === null) continue
    if (OURS.includes(word) && value === true) capabilities.push(word)
    else if (WORKSPACE.test(word) && value === true) workspace = 'optional'
    else if (word === 'hosts' && Array.isArray(value)) network.hosts = value
    else if (word === 'models' && Array.isArray(value)) network.models = value
    else leftOut.push(name)
  }
  if (leftOut.length > 0) {
    const shown = leftOut.slice(0, 10).map(quote).join(', ')
    const rest = leftOut.length > 10 ? ` and ${leftOut.length - 10} more` : ''
    findings.changes.push(
      `capabilities: left out ${shown}${rest}; Swarm knows resume, send, interrupt, workspace, hosts and models, and gives no other access`,
    )
  }
  return {
    ...(workspace && { workspace }),
    ...(Object.keys(network).length > 0 && { network }),
    ...(capabilities.length > 0 && { capabilities: [...new Set(capabilities)] }),
  }
}

function listCapabilities(text: string | undefined, { problems }: Findings): readonly [string, unknown][] {
  if (text === undefined || text.trim() === '') return []
  // Some registries keep plain words: `code,review`.
  if (/^[\w][\w ,.-]*$/.test(text) && !/^(null|true|false|[\d.-]+)$/.test(text)) {
    return text.split(',').map((word) => [word.trim(), true])
  }
  const parsed = parseForeignJson(text, 'capabilities')
  if (!parsed.ok) {
    problems.push(parsed.problem)
    return []
  }
  const { value } = parsed
  if (value === null) return []
  if (isObject(value)) return Object.entries(value)
  if (Array.isArray(value) && value.every((each) => typeof each === 'string'))
    return value.map((each) => [each, true])
  problems.push(
    'its capabilities are neither a list of texts nor an object: write ["resume"] or {"resume": true}',
  )
  return []
}
