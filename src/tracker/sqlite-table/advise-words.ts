/** Notes about words for the state that mean nothing yet. In the thread only. */
import type { TicketStatus } from '../../domain/status.ts'
import type { TrackerCheck, TrackerProblem } from '../contract.ts'
import { quote } from './cell.ts'
import type { SqliteTableMapping } from './mapping.ts'
import { toSettingName } from './setting-name.ts'

const SHOWN_COUNT_MAX = 10

/** A word that differs from ours only in its case, or in blanks around it; and a table in which no word says "open". */
export function adviseWords(
  counts: TrackerCheck['counts'],
  mapping: SqliteTableMapping,
): readonly TrackerProblem[] {
  const unknown = counts.filter(({ status }) => status === null)
  const near = unknown.flatMap(({ word, count }) => {
    const found = findNear(word, mapping.statuses)
    return found === undefined ? [] : [toNear({ word, count, ...found }, mapping)]
  })
  const hasOpen = counts.some(({ status }) => status === 'pending')
  return hasOpen || unknown.length === 0 ? near : [toNoneOpen(unknown, mapping), ...near]
}

type Meaning = { readonly status: TicketStatus; readonly meant: string }

function findNear(word: string, statuses: SqliteTableMapping['statuses']): Meaning | undefined {
  const fold = (text: string) => text.trim().toLowerCase()
  for (const [status, words] of Object.entries(statuses)) {
    const meant = words.find((each) => fold(each) === fold(word))
    // The keys are those of the mapping's own record.
    if (meant !== undefined) return { status: status as TicketStatus, meant }
  }
  return undefined
}

function toNear(
  { word, count, status, meant }: Meaning & { word: string; count: number },
  { name, statuses }: SqliteTableMapping,
): TrackerProblem {
  const all = [...(statuses[status] ?? []), word].map(quote).join(', ')
  return toNote(
    `${toTickets(count)} ${quote(word)}, which is not ${quote(meant)} and so means nothing`,
    `if it means the same: set ${toSettingName(name, 'statuses', status)} to [${all}]`,
  )
}

function toNoneOpen(unknown: TrackerCheck['counts'], { name, statuses }: SqliteTableMapping): TrackerProblem {
  const said = (statuses.pending ?? []).map(quote).join(' or ')
  const shown = unknown.slice(0, SHOWN_COUNT_MAX).map(({ word }) => quote(word))
  const more = unknown.length > shown.length ? ', …' : ''
  return toNote(
    `no ticket says ${said}, so none is open; these words mean nothing yet: ${shown.join(', ')}${more}`,
    `set ${toSettingName(name, 'statuses', 'pending')} to the word of open tickets, and the others likewise`,
  )
}

function toTickets(count: number): string {
  return count === 1 ? '1 ticket says' : `${count} tickets say`
}

function toNote(problem: string, fix: string): TrackerProblem {
  return { externalId: null, severity: 'note', problem, fix }
}
