import { dirname } from 'node:path'
import type { JsonObject } from '../../domain/json.ts'
import { type Candidate, createCandidates, toItem } from './candidate.ts'
import { type ReadForeignOptions, readForeignRegistry } from './foreign-file.ts'
import type { ForeignTable, TableMapping } from './foreign-table.ts'
import { type ImportedAgent, importAgent } from './import-agent.ts'
import type { ImportReport } from './import-report.ts'
import { importWorkflows } from './import-workflows.ts'
import type { DurationUnit } from './step-context.ts'

/** What is registered already, as the API lists it. */
export type KnownAgent = {
  readonly name: string
  readonly version: string
  readonly digest: string
  readonly source: string
  readonly manifest: JsonObject
  /** Unix time, `ms` */
  readonly createdAt: number
}
export type KnownWorkflow = {
  readonly name: string
  readonly version: string
  readonly text: string
  readonly source: string
  /** Unix time, `ms` */
  readonly createdAt: number
}

/** Where imported agents and workflows go. */
export type ImportTarget = {
  /** `undefined`: nobody can be asked; then nothing is looked up */
  readonly known:
    | { readonly agents: readonly KnownAgent[]; readonly workflows: readonly KnownWorkflow[] }
    | undefined
  /** Absent: everything is checked and nothing registered. Each gives why it was refused, or nothing. */
  readonly register?: {
    agent(directory: string): Promise<string | undefined>
    workflow(text: string): Promise<string | undefined>
  }
}

export type ImportOptions = {
  readonly file: string
  readonly tables: ReadForeignOptions['tables']
  /** Our name for one of theirs, where it cannot be or is not to be made of theirs */
  readonly renames: Readonly<Record<ForeignTable, ReadonlyMap<string, string>>>
  /** What a number counts that is a time without a unit */
  readonly durationUnit?: DurationUnit
  /** Folder in which copies of packages are made, one at a time; each is removed again */
  readonly stagingDirectory: string
  readonly target: ImportTarget
  /** Longest wait for a lock of the program that owns the file, `ms` */
  readonly busyTimeoutMs?: number
  /** Longest time for reading the file, `ms` */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/**
 * Takes agents and workflows over from another program's registry. One row that is refused keeps no other one from
 * being taken; the same file again changes nothing.
 * @throws ForeignFileError when the file cannot be read as a registry
 */
export async function importRegistry(options: ImportOptions): Promise<ImportReport> {
  const { file, tables, target, signal, renames, durationUnit } = options
  const registry = await readForeignRegistry({
    path: file,
    tables,
    ...(options.busyTimeoutMs === undefined ? {} : { busyTimeoutMs: options.busyTimeoutMs }),
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    ...(signal === undefined ? {} : { signal }),
  })
  const candidatesOf = async (kind: ForeignTable): Promise<readonly Candidate[]> => {
    const mapping = tables[kind] ?? NOTHING_MAPPED
    const rows = registry.rows[kind] ?? []
    return await createCandidates({ kind, rows, mapping, renames: renames[kind], folder: dirname(file) })
  }
  const agents = await candidatesOf('agents')
  const imported: ImportedAgent[] = []
  for (const candidate of agents) {
    signal?.throwIfAborted()
    const agent = await importAgent(candidate, options)
    if (agent !== undefined) imported.push(agent)
  }
  const workflows = await candidatesOf('workflows')
  await importWorkflows(workflows, {
    agents,
    imported,
    target,
    renames,
    ...(durationUnit === undefined ? {} : { durationUnit }),
    ...(signal === undefined ? {} : { signal }),
  })
  return { items: [...agents, ...workflows].map(toItem), notes: registry.notes }
}

const NOTHING_MAPPED: TableMapping = { table: '', columns: new Map(), values: new Map() }
