import { toOurName } from '../../registry/import/foreign-name.ts'
import { FIELDS, type ForeignTable, TABLES, type TableMapping } from '../../registry/import/foreign-table.ts'
import type { ImportOptions } from '../../registry/import/import-registry.ts'
import { CliError } from '../cli-error.ts'
import { EXIT } from '../exit-codes.ts'

/** The options that say where things stand in a registry of another program. */
export type MappingOptions = {
  readonly only?: string
  readonly agentsTable: string
  readonly workflowsTable: string
  readonly column?: readonly string[]
  readonly value?: readonly string[]
  readonly rename?: readonly string[]
  readonly durationUnit?: string
}

export type ImportMapping = Pick<ImportOptions, 'tables' | 'renames'> &
  Partial<Pick<ImportOptions, 'durationUnit'>>

/** @throws CliError `usage` when an option names something that there is not */
export function toMapping(options: MappingOptions): ImportMapping {
  const only = options.only === undefined ? undefined : toTable('--only', options.only)
  const columns = readAssignments('--column', options.column, toField)
  const values = readAssignments('--value', options.value, toField)
  const renames = readAssignments('--rename', options.rename, toTheirName)
  for (const { table, key, value } of renames) assertOurName(table, key, value)
  const mappingOf = (table: ForeignTable, name: string): Partial<Record<ForeignTable, TableMapping>> => {
    if (only !== undefined && only !== table) return {}
    return { [table]: { table: name, columns: toMap(columns, table), values: toMap(values, table) } }
  }
  return {
    tables: {
      ...mappingOf('agents', options.agentsTable),
      ...mappingOf('workflows', options.workflowsTable),
    },
    renames: { agents: toMap(renames, 'agents'), workflows: toMap(renames, 'workflows') },
    ...toDurationUnit(options.durationUnit),
  }
}

type Assignment = { readonly table: ForeignTable; readonly key: string; readonly value: string }

/** `agents.path=location`: the key ends at the last `=` of a name and at the first one else. */
function readAssignments(
  option: string,
  texts: readonly string[] = [],
  toKey: (option: string, table: ForeignTable, key: string) => string,
): readonly Assignment[] {
  return texts.map((text) => {
    const match = /^([a-z]+)\.([^=]+)=(.+)$/s.exec(text)
    if (match?.[1] === undefined || match[2] === undefined || match[3] === undefined) {
      throw usage(`${option} expects <table>.<name>=<text>, not "${text}"`, `such as ${EXAMPLE[option]}`)
    }
    const table = toTable(option, match[1])
    return { table, key: toKey(option, table, match[2]), value: match[3] }
  })
}

const EXAMPLE: Readonly<Record<string, string>> = {
  '--column': '--column agents.path=location',
  '--value': '--value agents.runtime=python3',
  '--rename': '--rename "agents.Code Writer=writer"',
}

function toTable(option: string, name: string): ForeignTable {
  const table = TABLES.find((each) => each === name)
  if (table === undefined) throw usage(`${option} is about agents or workflows, not "${name}"`)
  return table
}

function toField(option: string, table: ForeignTable, field: string): string {
  const { required, optional, mapped } = FIELDS[table]
  const fields = [...required, ...optional, ...mapped]
  if (fields.includes(field)) return field
  throw usage(`${option}: ${table} have no "${field}"`, `there are ${fields.join(', ')}`)
}

function toTheirName(_option: string, _table: ForeignTable, name: string): string {
  return name
}

function assertOurName(table: ForeignTable, theirs: string, ours: string): void {
  if (toOurName(ours, 'x') === ours || (table === 'workflows' && /^[a-z][a-z0-9_-]{0,62}$/.test(ours))) return
  throw usage(
    `--rename ${table}.${theirs}: "${ours}" cannot be a name`,
    'write small letters, digits and hyphens, beginning with a letter',
  )
}

function toMap(assignments: readonly Assignment[], table: ForeignTable): ReadonlyMap<string, string> {
  return new Map(
    assignments.flatMap((each) => (each.table === table ? [[each.key, each.value] as const] : [])),
  )
}

function toDurationUnit(text: string | undefined): Pick<ImportMapping, 'durationUnit'> {
  if (text === undefined) return {}
  if (text === 'ms' || text === 's' || text === 'm') return { durationUnit: text }
  throw usage('--duration-unit is ms, s or m')
}

function usage(message: string, hint?: string): CliError {
  return new CliError(EXIT.usage, message, { hint })
}
