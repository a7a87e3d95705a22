import type { StoreReader } from '../contract.ts'
import { toAgentRecord, toWorkflowRecord } from '../rows.ts'
import type { ReadContext } from './read.ts'

/** Without a version: the highest. */
export async function findAgent(
  { db }: ReadContext,
  by: Parameters<StoreReader['findAgent']>[0],
): ReturnType<StoreReader['findAgent']> {
  let query = db.selectFrom('agents').selectAll().where('name', '=', by.name)
  if (by.version !== undefined) query = query.where('version', '=', by.version)
  const row = (await query.execute()).toSorted(byVersion).at(-1)
  return row && toAgentRecord(row)
}

export async function listAgents({ db }: ReadContext): ReturnType<StoreReader['listAgents']> {
  const rows = await db.selectFrom('agents').selectAll().orderBy('name').execute()
  return rows.toSorted(byNameAndVersion).map(toAgentRecord)
}

/** Without a version: the highest. */
export async function findWorkflow(
  { db }: ReadContext,
  by: Parameters<StoreReader['findWorkflow']>[0],
): ReturnType<StoreReader['findWorkflow']> {
  let query = db.selectFrom('workflows').selectAll()
  if ('workflowId' in by) {
    query = query.where('id', '=', by.workflowId)
  } else {
    query = query.where('name', '=', by.name)
    if (by.version !== undefined) query = query.where('version', '=', by.version)
  }
  const row = (await query.execute()).toSorted(byVersion).at(-1)
  return row && toWorkflowRecord(row)
}

export async function listWorkflows({ db }: ReadContext): ReturnType<StoreReader['listWorkflows']> {
  const rows = await db.selectFrom('workflows').selectAll().orderBy('name').execute()
  return rows.toSorted(byNameAndVersion).map(toWorkflowRecord)
}

type Versioned = { readonly name: string; readonly version: string; readonly created_at: number }

const COMPARE = new Intl.Collator('en', { numeric: true }).compare

/** `1.10` after `1.9`, `2.0.0` after its own `2.0.0-beta`. */
function byVersion(a: Versioned, b: Versioned): number {
  const [coreA = '', preA] = split(a.version)
  const [coreB = '', preB] = split(b.version)
  const byCore = COMPARE(coreA, coreB)
  if (byCore !== 0) return byCore
  if ((preA === undefined) !== (preB === undefined)) return preA === undefined ? 1 : -1
  return COMPARE(preA ?? '', preB ?? '') || a.created_at - b.created_at
}

function split(version: string): readonly [string, string | undefined] {
  const dash = version.indexOf('-')
  return dash < 0 ? [version, undefined] : [version.slice(0, dash), version.slice(dash + 1)]
}

function byNameAndVersion(a: Versioned, b: Versioned): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1
  return byVersion(a, b)
}
