import { listStatuses } from '../../domain/status.ts'
import { TrackerError } from '../contract.ts'
import { type Cell, quote, toExactText } from './cell.ts'
import type { SqliteTableMapping } from './mapping.ts'
import type { Source } from './read-tickets.ts'
import { quoteName } from './row-sql.ts'
import { toSettingName } from './setting-name.ts'
import { isConstraint, isUnwritable, toDetail, toTrackerError } from './to-tracker-error.ts'

const WORD_COUNT_MAX = 20

/**
 * A constraint's or trigger's refusal, with the setting that would mend it.
 * @param word the word for a status that was to be written, `null` when it was not changed
 */
export function adviseRefusal(error: unknown, source: Source, word: Cell): unknown {
  if (isUnwritable(error)) return toUnwritable(error, source)
  if (!isConstraint(error)) return error
  const turned = toTrackerError(error, source.mapping.path)
  if (!(turned instanceof TrackerError) || turned.fix !== null) return turned
  return new TrackerError(turned.code, turned.message, { fix: toFix(source, word), cause: error })
}

/** The statement cannot even be compiled: a view without a trigger, a function that only its program has … */
function toUnwritable(error: Error, { table }: Source): TrackerError {
  const fix =
    table.kind === 'view'
      ? `give the view ${quote(table.name)} a trigger INSTEAD OF UPDATE, or name the table under it`
      : `change the triggers of table ${quote(table.name)} so that other programs can run them`
  return new TrackerError('tracker_refused', `${quote(table.name)} cannot be written: ${toDetail(error)}`, {
    fix,
    cause: error,
  })
}

function toFix(source: Source, word: Cell): string {
  const { mapping, table } = source
  const text = toExactText(word)
  const status = text === undefined ? undefined : findStatus(mapping, text)
  const change = `change the constraint or trigger of table ${quote(table.name)}`
  if (text === undefined || status === undefined) return `${change}, or map other columns`
  const setting = toSettingName(mapping.name, 'statuses', status)
  const allowed = listAllowedWords(source)
  const never = status === 'running' ? '' : `; or set ${setting} to null: it is then never written`
  if (allowed.length === 0 || allowed.includes(text)) {
    return `let ${setting} begin with a word that the table takes, or ${change}${never}`
  }
  const free = allowed.filter((each) => findMeaning(mapping, each) === undefined)
  if (free.length === 0) return `${change}, as its words are all in use${never}`
  return `let ${setting} begin with one of: ${free.slice(0, WORD_COUNT_MAX).join(', ')}${never}`
}

/** A word means one status. */
function findMeaning(mapping: SqliteTableMapping, word: string) {
  return listStatuses('ticket').find((status) => mapping.statuses[status]?.includes(word))
}

function findStatus(mapping: SqliteTableMapping, word: string) {
  return listStatuses('ticket').find((status) => mapping.statuses[status]?.[0] === word)
}

/** Words of a `CHECK (status IN ('a', 'b'))`, as a hint for people; empty where there is no such list. */
function listAllowedWords({ file, table }: Source): readonly string[] {
  const sql = file.row("select sql from main.sqlite_schema where type = 'table' and name = ?", [
    table.name,
  ])?.sql
  const name = table.columns.status?.name
  if (typeof sql !== 'string' || sql.length > 100_000 || name === undefined) return []
  const plain = sql.toLowerCase()
  for (const spelled of [quoteName(name), `[${name}]`, `\`${name}\``, name]) {
    const pattern = `${spelled.toLowerCase().replaceAll(/[^a-z0-9_]/g, '\\$&')}\\s+in\\s*\\(`
    for (const match of plain.matchAll(new RegExp(pattern, 'g'))) {
      const list = sql.slice(match.index + match[0].length).split(')', 1)[0] ?? ''
      const words = [...list.matchAll(/'((?:[^']|'')*)'/g)].map(([, word = '']) => word.replaceAll("''", "'"))
      if (words.length > 0) return words.filter((word) => /^[\w .-]{1,60}$/.test(word))
    }
  }
  return []
}
