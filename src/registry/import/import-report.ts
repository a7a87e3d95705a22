import type { ForeignTable } from './foreign-table.ts'

/**
 * What became of one row. `taken`: as it stands; `changed`: with the changes named; `unchanged`: it was registered
 * before, with the same content; `refused`: not registered, with the reasons and what to do.
 */
export type ImportOutcome = 'taken' | 'changed' | 'unchanged' | 'refused'

export type ImportItem = {
  readonly kind: 'agent' | 'workflow'
  /** Place in the table's order by name and version, from 1 */
  readonly row: number
  /** As the file says; `null`: nothing that can be read */
  readonly theirs: { readonly name: string | null; readonly version: string | null }
  /** As it is registered; `null`: it was refused before it had a name */
  readonly name: string | null
  readonly version: string | null
  readonly outcome: ImportOutcome
  readonly changes: readonly string[]
  readonly notes: readonly string[]
  readonly problems: readonly string[]
}

export type ImportReport = {
  /** Agents first, then workflows, each in the order of its table */
  readonly items: readonly ImportItem[]
  /** What holds for whole tables */
  readonly notes: readonly string[]
}

export function countOutcomes({ items }: ImportReport): Readonly<Record<ImportOutcome, number>> {
  const count = (outcome: ImportOutcome) => items.filter((item) => item.outcome === outcome).length
  return {
    taken: count('taken'),
    changed: count('changed'),
    unchanged: count('unchanged'),
    refused: count('refused'),
  }
}

export const KIND_OF = { agents: 'agent', workflows: 'workflow' } as const satisfies Record<
  ForeignTable,
  ImportItem['kind']
>
