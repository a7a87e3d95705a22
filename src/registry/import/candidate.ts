import { createFindings, type Findings } from './findings.ts'
import { quote, toAgentVersion, toOurName, toWorkflowVersion } from './foreign-name.ts'
import { type ForeignRow, type ForeignTable, readField, type TableMapping } from './foreign-table.ts'
import { type ImportItem, type ImportOutcome, KIND_OF } from './import-report.ts'
import { findOwnManifest, locateAgent } from './locate-agent.ts'

/** A row on its way: what it says, what it is called here, and what was found out about it so far. */
export type Candidate = {
  readonly kind: ForeignTable
  readonly row: number
  readonly theirs: { readonly name: string | null; readonly version: string | null }
  /** The texts of its fields; absent: the row says nothing */
  readonly fields: ReadonlyMap<string, string>
  readonly name: string | undefined
  readonly version: string | undefined
  /** Of an agent: the folder of its program, absolute */
  readonly directory?: string
  /** Of an agent: whether that folder has an `agent.yaml` */
  readonly hasManifest?: boolean
  readonly findings: Findings
  isUnchanged: boolean
}

export type CandidateOptions = {
  readonly kind: ForeignTable
  readonly rows: readonly ForeignRow[]
  readonly mapping: TableMapping
  readonly renames: ReadonlyMap<string, string>
  /** Folder of the database */
  readonly folder: string
}

/** A candidate for each row, named as ours are; rows that would be one and the same are refused. */
export async function createCandidates(options: CandidateOptions): Promise<readonly Candidate[]> {
  const candidates: Candidate[] = []
  for (const row of options.rows) candidates.push(await createCandidate(row, options))
  refuseSameNames(candidates)
  return candidates
}

async function createCandidate(row: ForeignRow, options: CandidateOptions): Promise<Candidate> {
  const { kind, mapping } = options
  const findings = createFindings()
  const fields = new Map<string, string>()
  for (const field of [...Object.keys(row.cells), ...mapping.values.keys()]) {
    const read = readField(row, field, mapping)
    if (!read.ok) findings.problems.push(read.problem)
    else if (read.text !== undefined) fields.set(field, read.text)
  }
  const theirs = { name: fields.get('name') ?? null, version: fields.get('version') ?? null }
  const candidate: Candidate = {
    kind,
    row: row.row,
    theirs,
    fields,
    name: toName(theirs.name, options, findings),
    version: toVersion(theirs.version, kind, findings),
    findings,
    isUnchanged: false,
  }
  return kind === 'agents' ? await withDirectory(candidate, options) : candidate
}

function toName(
  theirs: string | null,
  { kind, renames }: CandidateOptions,
  { changes, problems }: Findings,
): string | undefined {
  if (theirs === null) {
    problems.push('it has no name')
    return undefined
  }
  // A workflow's name may have underscores, an agent's may not.
  const isOurs = kind === 'workflows' && /^[a-z][a-z0-9_-]{0,62}$/.test(theirs)
  const name = renames.get(theirs) ?? (isOurs ? theirs : toOurName(theirs, KIND_OF[kind]))
  if (name === undefined) {
    problems.push(
      `no name of ours can be made of ${quote(theirs)}: give one with --rename ${kind}.<name>=<ours>`,
    )
  } else if (name !== theirs) changes.push(`name: ${quote(theirs)} is now ${name}`)
  return name
}

function toVersion(
  theirs: string | null,
  kind: ForeignTable,
  { changes, problems }: Findings,
): string | undefined {
  const version =
    theirs === null ? undefined : kind === 'agents' ? toAgentVersion(theirs) : toWorkflowVersion(theirs)
  if (theirs === null) {
    problems.push(`it has no version: give rows without one --value ${kind}.version=1.0.0`)
  } else if (version === undefined) {
    problems.push(`its version ${quote(theirs)} is none of ours: write it as 1.0.0 or 2.1.0-beta.1`)
  } else if (version !== theirs) changes.push(`version: ${quote(theirs)} is now ${version}`)
  return version
}

/** An `agent.yaml` that is there says what the agent is called, whatever the row says. */
async function withDirectory(candidate: Candidate, { folder }: CandidateOptions): Promise<Candidate> {
  const { findings, theirs } = candidate
  const located = await locateAgent(folder, candidate.fields.get('path'))
  if (!located.ok) {
    findings.problems.push(located.problem)
    return candidate
  }
  const { directory } = located
  const own = await findOwnManifest(directory)
  if (own === undefined) return { ...candidate, directory, hasManifest: false }
  if (!own.ok) {
    findings.problems.push(...own.problems.map((problem) => `the agent.yaml in its directory: ${problem}`))
    return { ...candidate, directory, hasManifest: true }
  }
  const { name, version } = own.manifest
  const changes: string[] = []
  if (theirs.name !== null && name !== theirs.name)
    changes.push(`name: ${quote(theirs.name)} is now ${name}, from its agent.yaml`)
  if (theirs.version !== null && version !== theirs.version) {
    changes.push(`version: ${quote(theirs.version)} is now ${version}, from its agent.yaml`)
  }
  const notes = ['its own agent.yaml was taken']
  return {
    ...candidate,
    directory,
    hasManifest: true,
    name,
    version,
    findings: { changes, notes, problems: [] },
  }
}

/** Nothing is chosen among rows that become one: which one a workflow means would be chance. */
function refuseSameNames(candidates: readonly Candidate[]): void {
  for (const [name, same] of Map.groupBy(candidates, (candidate) => candidate.name)) {
    if (name === undefined) continue
    const names = new Set(same.map(({ theirs }) => theirs.name))
    const hasExact = names.has(name)
    for (const { theirs, findings, kind } of same) {
      if (names.size === 1 || (hasExact && theirs.name === name)) continue
      const others = [...names].filter((other) => other !== theirs.name).map((other) => quote(other ?? ''))
      findings.problems.push(
        `it would be called ${name}, as ${others.slice(0, 5).join(', ')} is: give it another name with --rename ${kind}.<name>=<ours>`,
      )
    }
    const single = same.filter(({ findings }) => findings.problems.length === 0)
    for (const [version, rows] of Map.groupBy(single, (candidate) => candidate.version)) {
      for (const { findings } of rows.slice(1)) {
        findings.problems.push(`${name} ${version} stands in the table twice: only the first one is taken`)
      }
    }
  }
}

export function toItem(candidate: Candidate): ImportItem {
  const { kind, row, theirs, name, version, findings } = candidate
  return {
    kind: KIND_OF[kind],
    row,
    theirs,
    name: name ?? null,
    version: version ?? null,
    outcome: toOutcome(candidate),
    ...findings,
  }
}

function toOutcome({ findings, isUnchanged }: Candidate): ImportOutcome {
  if (findings.problems.length > 0) return 'refused'
  if (isUnchanged) return 'unchanged'
  return findings.changes.length > 0 ? 'changed' : 'taken'
}
