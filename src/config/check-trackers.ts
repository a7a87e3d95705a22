import { normalize } from 'node:path'
import { parseDurationMs } from '../platform/duration.ts'
import type { SettingProblem } from './setting-types.ts'
import type { Settings } from './settings-schema.ts'
import type { TrackerSettings } from './tracker-settings.ts'

const POLL_MS_MIN = 100

/** Trackers that contradict themselves or each other. */
export function checkTrackers(trackers: Settings['trackers']): readonly SettingProblem[] {
  const entries = Object.entries(trackers)
  return [
    ...entries.flatMap(([name, tracker]) => [
      ...checkStatuses(name, tracker),
      ...checkColumns(name, tracker),
      ...checkPoll(name, tracker),
    ]),
    ...checkTables(entries),
  ]
}

function checkStatuses(name: string, { statuses }: TrackerSettings): SettingProblem[] {
  const problems: SettingProblem[] = []
  const statusByWord = new Map<string, string>()
  for (const [status, words] of Object.entries(statuses)) {
    for (const word of words ?? []) {
      const other = statusByWord.get(word)
      if (other === undefined || other === status) statusByWord.set(word, status)
      else
        problems.push({
          path: ['trackers', name, 'statuses', status],
          message: `takes the word ${JSON.stringify(word)}, which stands for ${other} already`,
          hint: 'a word means one status',
        })
    }
  }
  return problems
}

/** Two parts in one column would overwrite each other. */
function checkColumns(name: string, { columns }: TrackerSettings): SettingProblem[] {
  const problems: SettingProblem[] = []
  const partByColumn = new Map<string, string>()
  for (const [part, column] of Object.entries(columns)) {
    if (column === null || column === undefined) continue
    const other = partByColumn.get(column.toLowerCase())
    if (other === undefined) partByColumn.set(column.toLowerCase(), part)
    else
      problems.push({
        path: ['trackers', name, 'columns', part],
        message: `names the column of ${other} again`,
        hint: 'write null for a part that has no column',
      })
  }
  return problems
}

function checkPoll(name: string, { poll }: TrackerSettings): SettingProblem[] {
  if ((parseDurationMs(poll) ?? 0) >= POLL_MS_MIN) return []
  return [{ path: ['trackers', name, 'poll'], message: `must be at least ${POLL_MS_MIN}ms`, hint: null }]
}

function checkTables(entries: readonly (readonly [string, TrackerSettings])[]): SettingProblem[] {
  const problems: SettingProblem[] = []
  const nameByTable = new Map<string, string>()
  for (const [name, { file, table = '' }] of entries) {
    // SQLite does not tell the case of names apart.
    const place = `${normalize(file)}\n${table.toLowerCase()}`
    const other = nameByTable.get(place)
    if (other === undefined) nameByTable.set(place, name)
    else
      problems.push({
        path: ['trackers', name, 'file'],
        message: `and its table are those of trackers.${other}`,
        hint: 'each ticket would be mirrored twice',
      })
  }
  return problems
}
