/** What would be mirrored, and what cannot be. Writes nothing. In the thread only. */
import {
  CHECK_PROBLEM_COUNT,
  CHECK_SAMPLE_COUNT,
  type TrackerCheck,
  TrackerError,
  type TrackerProblem,
  type TrackerTicket,
} from '../contract.ts'
import { toStatus } from '../ownership.ts'
import { adviseWords } from './advise-words.ts'
import { quote, showCell, toExactText } from './cell.ts'
import { MAPPED_PARTS, type MappedPart, type SqliteTableMapping } from './mapping.ts'
import { type OpenFile, type Patience, withFile } from './open-file.ts'
import { countAfter, readPage, type Source } from './read-tickets.ts'
import { rehearse } from './rehearse.ts'
import { tryResolveTable } from './resolve-table.ts'
import { bounded, columnOf, fromTable } from './row-sql.ts'
import { toKebab } from './setting-name.ts'
import { READ_PARTS } from './to-ticket.ts'
import { toTrackerError } from './to-tracker-error.ts'

const WORD_COUNT_MAX = 100
/** Rows that are looked at one by one; the others are only counted */
const EXAMINED_COUNT_MAX = 10_000
/** Tickets with one and the same problem: more of them would leave no room for others */
const EQUAL_COUNT_MAX = 10

export function checkTable(mapping: SqliteTableMapping, patience: Patience): TrackerCheck {
  try {
    return withFile({ path: mapping.path, access: 'look', patience }, (file) =>
      file.reading(() => checkFile(file, mapping)),
    )
  } catch (raw) {
    const error = toTrackerError(raw, mapping.path)
    if (!(error instanceof TrackerError) || error.code === 'tracker_unavailable') throw error
    return toUnusable([{ externalId: null, severity: 'refused', problem: error.message, fix: error.fix }])
  }
}

function toUnusable(problems: readonly TrackerProblem[]): TrackerCheck {
  return { isUsable: false, mapping: [], counts: [], sample: [], mirroredCount: 0, problems }
}

function checkFile(file: OpenFile, mapping: SqliteTableMapping): TrackerCheck {
  const resolved = tryResolveTable(file, mapping)
  if ('problems' in resolved) return toUnusable(resolved.problems)
  const { table } = resolved
  const source = { file, table, mapping }
  const examined = examine(source)
  const rehearsal = rehearse(source)
  const counts = countWords(source)
  return {
    isUsable: rehearsal.canTake,
    mapping: MAPPED_PARTS.map((part) => ({ part: toKebab(part), use: describeUse(source, part) })),
    counts,
    sample: examined.sample,
    mirroredCount: examined.mirroredCount,
    problems: [
      ...rehearsal.problems,
      ...adviseWords(counts, mapping),
      ...table.notes,
      ...examined.problems,
    ].slice(0, CHECK_PROBLEM_COUNT),
  }
}

function examine(source: Source) {
  const sample: TrackerTicket[] = []
  const problems: TrackerProblem[] = []
  const equalCounts = new Map<string, number>()
  let mirroredCount = 0
  let cursor: string | null | undefined
  for (let examinedCount = 0; cursor !== null && examinedCount < EXAMINED_COUNT_MAX; ) {
    const page = readPage(source, { states: ['pending'], ...(cursor === undefined ? {} : { cursor }) })
    examinedCount += page.tickets.length + page.problems.length
    mirroredCount += page.tickets.length
    sample.push(...page.tickets.slice(0, CHECK_SAMPLE_COUNT - sample.length))
    for (const problem of page.problems) {
      const equalCount = equalCounts.get(problem.problem) ?? 0
      if (equalCount === EQUAL_COUNT_MAX || problems.length === CHECK_PROBLEM_COUNT) continue
      equalCounts.set(problem.problem, equalCount + 1)
      problems.push(problem)
    }
    cursor = page.nextCursor
  }
  if (cursor !== null && cursor !== undefined) mirroredCount += countAfter(source, cursor)
  return { sample, mirroredCount, problems: concerningAllFirst(problems) }
}

function concerningAllFirst(problems: readonly TrackerProblem[]): readonly TrackerProblem[] {
  return [
    ...problems.filter(({ externalId }) => externalId === null),
    ...problems.filter(({ externalId }) => externalId !== null),
  ]
}

function countWords({ file, table, mapping }: Source): TrackerCheck['counts'] {
  const status = columnOf(table, 'status')
  const rows = file.rows(
    `select ${bounded(table, 'status', READ_PARTS.status)} collate binary as word, count(*) as n
     from ${fromTable(table)} group by 1, typeof(${status}) order by n desc, 1 limit ${WORD_COUNT_MAX}`,
  )
  return [...rows].map(({ word: cell, n }) => {
    const word = toExactText(cell ?? null)
    return {
      word: word ?? showCell(cell ?? null),
      status: word === undefined ? null : toStatus(word, mapping.statuses),
      count: Number(n),
    }
  })
}

function describeUse({ table, mapping }: Source, part: MappedPart): string {
  const column = table.columns[part]
  if (column !== undefined) return column.name
  const fixed = part === 'workflow' || part === 'agent' ? mapping[part] : null
  if (fixed !== null) return `no column: always ${quote(fixed)}`
  const wanted = mapping.columns[part]
  const why = wanted === null ? 'no column is named' : `there is no column ${quote(wanted.column)}`
  return `${part in READ_PARTS ? 'not read' : 'not written back'}: ${why}`
}
