import type { JsonObject } from '../../domain/json.ts'
import { parseWorkflow } from '../../workflow/parse-workflow.ts'
import { toCatalogue } from '../build-catalogue.ts'
import type { Candidate } from './candidate.ts'
import type { ImportedAgent } from './import-agent.ts'
import type { ImportOptions, ImportTarget, KnownWorkflow } from './import-registry.ts'
import { findOurName } from './our-name.ts'
import { toWorkflow } from './to-workflow.ts'

export type WorkflowImport = Pick<ImportOptions, 'renames' | 'durationUnit' | 'target' | 'signal'> & {
  /** Every row of agents, the refused ones too */
  readonly agents: readonly Candidate[]
  readonly imported: readonly ImportedAgent[]
}

/** A workflow in our words, with the workflows of the file that it runs. */
type Converted = {
  readonly candidate: Candidate
  readonly text: string
  readonly children: ReadonlySet<string>
}

/** Takes the workflows: each after those that it runs. */
export async function importWorkflows(
  candidates: readonly Candidate[],
  options: WorkflowImport,
): Promise<void> {
  let waiting = candidates.flatMap((candidate) => convert(candidate, candidates, options) ?? [])
  const taken: KnownWorkflow[] = []
  while (waiting.length > 0) {
    options.signal?.throwIfAborted()
    const names = new Set(waiting.map(({ candidate }) => candidate.name))
    const ready = waiting.filter(({ children }) => ![...children].some((child) => names.has(child)))
    // What is left runs itself in a circle: its check says so.
    for (const next of ready.length > 0 ? ready : waiting) {
      const workflow = await register(next, taken, options)
      if (workflow !== undefined) taken.push(workflow)
    }
    waiting = ready.length > 0 ? waiting.filter((each) => !ready.includes(each)) : []
  }
}

function convert(
  candidate: Candidate,
  workflows: readonly Candidate[],
  { agents, imported, target, renames, durationUnit }: WorkflowImport,
): Converted | undefined {
  const { name, version, fields, findings } = candidate
  const steps = fields.get('steps')
  if (steps === undefined) findings.problems.push('it has no steps')
  if (findings.problems.length > 0 || name === undefined || version === undefined || steps === undefined) {
    return undefined
  }
  const children = new Set<string>()
  const registered = { agents: target.known?.agents, workflows: target.known?.workflows }
  const inFile = {
    agents: agents.map((each) => ({
      candidate: each,
      isTaken: imported.some((one) => one.candidate === each),
    })),
    // Whether they are taken is known only when it is their turn.
    workflows: workflows.map((each) => ({ candidate: each, isTaken: each.findings.problems.length === 0 })),
  }
  const text = toWorkflow(
    { name, version, description: fields.get('description'), steps },
    {
      durationUnit,
      toOurName: (kind, theirs, wanted) => {
        const table = kind === 'agent' ? 'agents' : 'workflows'
        const found = findOurName(
          { kind, name: theirs, version: wanted },
          { rows: inFile[table], known: registered[table], renames: renames[table] },
        )
        if (!found.ok) findings.problems.push(found.problem)
        else if (found.change !== undefined) findings.changes.push(found.change)
        if (found.ok && kind === 'workflow') children.add(found.name.replace(/@.*$/, ''))
        return found.ok ? found.name : undefined
      },
    },
    findings,
  )
  return text === undefined ? undefined : { candidate, text, children }
}

async function register(
  { candidate, text }: Converted,
  taken: readonly KnownWorkflow[],
  options: WorkflowImport,
): Promise<KnownWorkflow | undefined> {
  const { findings, name = '', version = '' } = candidate
  const { target } = options
  const parsed = parseWorkflow(text, { catalogue: buildImportCatalogue(taken, options) })
  if (!parsed.ok) {
    findings.problems.push(
      ...parsed.errors.map(({ message, hint }) => (hint === undefined ? message : `${message} (${hint})`)),
    )
    return undefined
  }
  const problem = findConflict(candidate, text, target)
  const refusal = problem ?? (candidate.isUnchanged ? undefined : await target.register?.workflow(text))
  if (refusal !== undefined) {
    findings.problems.push(refusal)
    return undefined
  }
  return { name, version, text, source: 'registered', createdAt: Number.MAX_SAFE_INTEGER }
}

/** What is registered, and what this import has taken; nothing where nobody can be asked what is registered. */
function buildImportCatalogue(taken: readonly KnownWorkflow[], { target, imported }: WorkflowImport) {
  if (target.known === undefined) return {}
  const agents = imported.map(({ manifest }) => ({
    name: manifest.name,
    version: manifest.version,
    manifest: manifest as unknown as JsonObject,
    createdAt: Number.MAX_SAFE_INTEGER,
  }))
  return toCatalogue([...target.known.agents, ...agents], [...target.known.workflows, ...taken])
}

function findConflict(candidate: Candidate, text: string, { known }: ImportTarget): string | undefined {
  const { name, version } = candidate
  const same = known?.workflows.filter((workflow) => workflow.name === name) ?? []
  const recorded = same.find((workflow) => workflow.version === version)
  if (recorded?.text === text) {
    candidate.isUnchanged = true
    return undefined
  }
  if (same.some(({ source }) => source === 'shipped')) {
    return `a workflow ${name} comes with Swarm, and everything that names it would get this one: give --rename workflows.<name>=<ours>`
  }
  if (recorded === undefined) return undefined
  return `${name} ${version} is registered with another text, and a version never changes: raise it in the table`
}
