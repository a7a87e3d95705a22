import type { Kysely } from 'kysely'
import { TRANSITIONS } from '../../domain/status.ts'
import type { Database, StatusTransitionsTable } from '../schema.ts'

/** Makes the table equal to the domain's; what the database refuses is always what the code refuses. */
export async function ensureStatusTransitions(db: Kysely<Database>): Promise<void> {
  const wanted = listTransitions()
  const present = await db.selectFrom('status_transitions').selectAll().execute()
  if (isSame(wanted, present)) return
  await db.deleteFrom('status_transitions').execute()
  await db.insertInto('status_transitions').values(wanted).execute()
}

export function listTransitions(): StatusTransitionsTable[] {
  return Object.entries(TRANSITIONS).flatMap(([thing, moves]) =>
    Object.entries(moves).flatMap(([from, targets]) =>
      targets.map((to: string) => ({ thing, from_status: from, to_status: to }) as StatusTransitionsTable),
    ),
  )
}

function isSame(a: readonly StatusTransitionsTable[], b: readonly StatusTransitionsTable[]): boolean {
  const words = (rows: readonly StatusTransitionsTable[]) =>
    rows
      .map((row) => `${row.thing} ${row.from_status} ${row.to_status}`)
      .sort()
      .join('\n')
  return words(a) === words(b)
}
