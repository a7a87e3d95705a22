/** A row as a ticket of ours: checked and bounded, with what could not be taken over. */
import type { Json, JsonObject } from '../../domain/json.ts'
import { BODY_CHARS_MAX, LABEL_COUNT_MAX, PRIORITY_DEFAULT, TITLE_CHARS_MAX } from '../../domain/ticket.ts'
import type { TrackerProblem, TrackerTicket } from '../contract.ts'
import { toStatus } from '../ownership.ts'
import { type Cell, parseWholeNumber, quote, showCell, toExactText } from './cell.ts'
import { readInstant } from './instant.ts'
import type { MappedPart, SqliteTableMapping } from './mapping.ts'
import { toSettingName } from './setting-name.ts'

/** Parts that are read for a ticket, and how many bytes of each are loaded at most. */
export const READ_PARTS = {
  id: 800,
  status: 800,
  title: 65_536,
  body: 4 * BODY_CHARS_MAX,
  type: 800,
  priority: 800,
  labels: 65_536,
  workflow: 800,
  agent: 800,
  inputs: 262_144,
  createdAt: 800,
} as const satisfies Partial<Record<MappedPart, number>>
export type ReadPart = keyof typeof READ_PARTS

/** What one row holds of one part; `null` with a byte count: more than is loaded */
export type PartCell = { readonly cell: Cell; readonly byteCount: number }
/** Parts without a column are absent */
export type TicketRow = Readonly<Partial<Record<ReadPart, PartCell>>>

export type ConvertedRow = {
  /** `undefined`: it cannot be mirrored, and a problem says why */
  readonly ticket: TrackerTicket | undefined
  readonly problems: readonly TrackerProblem[]
}

export const EXTERNAL_ID_CHARS_MAX = 200
const TYPE_CHARS_MAX = 50
const LABEL_CHARS_MAX = 100
const NAME_CHARS_MAX = 200
const JSON_DEPTH_MAX = 64
const REPLACEMENT = '\ufffd'

class RefusedRow extends Error {
  readonly fix: string | null
  constructor(problem: string, fix: string | null = null) {
    super(problem)
    this.fix = fix
  }
}

type Reader = {
  readonly mapping: SqliteTableMapping
  readonly row: TicketRow
  readonly note: (problem: string, fix?: string) => void
}

export function toTicket(externalId: string, row: TicketRow, mapping: SqliteTableMapping): ConvertedRow {
  const problems: TrackerProblem[] = []
  const note = (problem: string, fix?: string) =>
    void problems.push({ externalId, severity: 'note', problem, fix: fix ?? null })
  try {
    return { ticket: convert(externalId, { mapping, row, note }), problems }
  } catch (error) {
    if (!(error instanceof RefusedRow)) throw error
    const refused = { externalId, severity: 'refused', problem: error.message, fix: error.fix } as const
    return { ticket: undefined, problems: [refused] }
  }
}

function convert(externalId: string, reader: Reader): TrackerTicket {
  const { mapping } = reader
  const word = toExactText(reader.row.status?.cell ?? null)
  if (word === undefined) throw new RefusedRow(`its status is ${show(reader, 'status')}, which is no word`)
  return {
    externalId,
    word,
    status: toStatus(word, mapping.statuses),
    title: readTitle(reader),
    body: readText(reader, 'body', BODY_CHARS_MAX) ?? '',
    type: readType(reader),
    labels: readLabels(reader),
    priority: readPriority(reader),
    workflow: readText(reader, 'workflow', NAME_CHARS_MAX) || mapping.workflow,
    agent: readText(reader, 'agent', NAME_CHARS_MAX) || mapping.agent,
    inputs: readInputs(reader),
    createdAt: readCreatedAt(reader),
  }
}

function readTitle(reader: Reader): string {
  const title = readText(reader, 'title', Number.MAX_SAFE_INTEGER) ?? ''
  if (title.trim() === '') throw new RefusedRow('its title is empty', 'give it a title')
  if (title.length <= TITLE_CHARS_MAX) return title
  reader.note(`its title of ${title.length} characters was cut to ${TITLE_CHARS_MAX}`)
  return `${title
    .slice(0, TITLE_CHARS_MAX - 1)
    .toWellFormed()
    .replace(/\ufffd$/, '')}…`
}

/**
 * A text, `undefined` where there is none. What we cannot hold in whole is refused, never cut: half a request is
 * another request.
 */
function readText(reader: Reader, part: ReadPart, charsMax: number): string | undefined {
  const found = reader.row[part]
  if (found === undefined) return undefined
  const { cell, byteCount } = found
  if (cell === null && byteCount === 0) return undefined
  if (cell === null) throw new RefusedRow(`its ${part} has ${byteCount} bytes, too many`)
  if (cell instanceof Uint8Array) {
    throw new RefusedRow(`its ${part} is a BLOB, not a text`, 'store it as text')
  }
  const text = String(cell)
  if (text.length > charsMax) {
    throw new RefusedRow(`its ${part} has ${text.length} characters; ${charsMax} are possible`)
  }
  if (text.includes('\0')) throw new RefusedRow(`its ${part} holds a NUL character`)
  if (text.includes(REPLACEMENT)) {
    reader.note(
      `its ${part} holds characters that are not UTF-8, or were not once: they show as ${REPLACEMENT}`,
    )
  }
  return text
}

function readType(reader: Reader): string {
  const word = readText(reader, 'type', Number.MAX_SAFE_INTEGER) ?? ''
  const { types, name } = reader.mapping
  const type = Object.hasOwn(types, word) ? (types[word] ?? '') : word
  if (type.length <= TYPE_CHARS_MAX) return type
  reader.note(
    `its type ${quote(type)} has more than ${TYPE_CHARS_MAX} characters and was left out`,
    `map it in ${toSettingName(name, 'types')}`,
  )
  return ''
}

/** An array of JSON, or a list with commas. */
function readLabels(reader: Reader): readonly string[] {
  const text = readText(reader, 'labels', READ_PARTS.labels)?.trim()
  if (text === undefined || text === '') return reader.mapping.labels
  const listed = text.startsWith('[') ? parseLabels(reader, text) : text.split(',')
  const labels = [...new Set(listed.map((label) => label.trim()).filter((label) => label !== ''))]
  const kept = labels.filter((label) => label.length <= LABEL_CHARS_MAX).slice(0, LABEL_COUNT_MAX)
  if (kept.length < labels.length) {
    reader.note(
      `${labels.length - kept.length} of its labels were left out: ${LABEL_COUNT_MAX} of ${LABEL_CHARS_MAX} characters are possible`,
    )
  }
  return kept
}

function parseLabels(reader: Reader, text: string): readonly string[] {
  const parsed = tryParse(text)
  if (!Array.isArray(parsed)) {
    throw new RefusedRow(`its labels are ${quote(text)}, neither an array of JSON nor a list with commas`)
  }
  const labels = parsed.filter((label) => typeof label === 'string' || typeof label === 'number').map(String)
  if (labels.length < parsed.length) reader.note('some of its labels are no texts and were left out')
  const storable = labels.filter(isStorable)
  if (storable.length < labels.length)
    reader.note('some of its labels hold a NUL character and were left out')
  return storable
}

function readPriority(reader: Reader): number {
  const { priorities, name } = reader.mapping
  const cell = reader.row.priority?.cell ?? null
  const isUnsaid = (cell === null && (reader.row.priority?.byteCount ?? 0) === 0) || cell === ''
  if (isUnsaid) return PRIORITY_DEFAULT
  const word = typeof cell === 'number' && Number.isInteger(cell) ? String(cell) : toExactText(cell)
  if (word !== undefined && Object.hasOwn(priorities, word)) return priorities[word] ?? PRIORITY_DEFAULT
  const number = word === undefined ? undefined : parseWholeNumber(word)
  if (number !== undefined && number >= 1n && number <= 5n) return Number(number)
  reader.note(
    `its priority is ${show(reader, 'priority')}, taken as ${PRIORITY_DEFAULT}`,
    `map it in ${toSettingName(name, 'priorities')}`,
  )
  return PRIORITY_DEFAULT
}

function readInputs(reader: Reader): JsonObject {
  const text = readText(reader, 'inputs', READ_PARTS.inputs)?.trim()
  if (text === undefined || text === '') return {}
  const parsed = tryParse(text)
  if (parsed === undefined || parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new RefusedRow(`its inputs are ${quote(text)}, not an object of JSON`)
  }
  if (!isStorableJson(parsed, JSON_DEPTH_MAX)) {
    throw new RefusedRow(
      `its inputs hold a NUL character, or are nested deeper than ${JSON_DEPTH_MAX} levels`,
    )
  }
  return parsed as JsonObject
}

function readCreatedAt(reader: Reader): number | null {
  const found = reader.row.createdAt
  if (found === undefined || (found.cell === null && found.byteCount === 0)) return null
  const instant = readInstant(found.cell)
  if (instant !== undefined) return instant.at
  reader.note(`when it was created is ${show(reader, 'createdAt')}, which is no instant that is known here`)
  return null
}

function show({ row }: Reader, part: ReadPart): string {
  const found = row[part]
  if (found === undefined) return 'not there'
  return found.cell === null && found.byteCount > 0
    ? `a value of ${found.byteCount} bytes`
    : showCell(found.cell)
}

function tryParse(text: string): Json | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

function isStorableJson(value: Json, depthMax: number): boolean {
  if (typeof value === 'string') return isStorable(value)
  if (value === null || typeof value !== 'object') return true
  if (depthMax === 0) return false
  const entries = Array.isArray(value) ? [] : Object.keys(value)
  return (
    entries.every(isStorable) && Object.values(value).every((entry) => isStorableJson(entry, depthMax - 1))
  )
}
