/** Instants as people's tables spell them. What is not clearly one of the spellings is no instant. */
import { type Cell, parseWholeNumber } from './cell.ts'

export type Spelling =
  | { readonly kind: 'date' }
  | {
      readonly kind: 'date-time'
      readonly separator: 'T' | ' '
      readonly fractionDigitCount: number
      /** What stands for UTC at its end: nothing, `Z`, `+00:00` … */
      readonly zone: string
    }
  | {
      readonly kind: 'epoch'
      readonly unit: 's' | 'ms'
      readonly form: 'integer' | 'real' | 'text'
    }

const DATE_TIME = /^(\d{4}-\d{2}-\d{2})([T ])(\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:?\d{2})?$/
const DATE = /^\d{4}-\d{2}-\d{2}$/

/** Below: days, Julian dates, years; from `MS_MIN` on milliseconds; from `END` on finer units. */
const SECONDS_MIN = 1e8
const MS_MIN = 1e11
const END = 1e14

/** An instant in `ms` since the epoch, and how it is spelled. Without a zone it is UTC. */
export function readInstant(cell: Cell): { at: number; spelling: Spelling } | undefined {
  if (typeof cell === 'bigint') return readEpoch(Number(cell), 'integer')
  if (typeof cell === 'number') return readEpoch(cell, 'real')
  if (typeof cell !== 'string') return undefined
  if (parseWholeNumber(cell) !== undefined) return readEpoch(Number(cell), 'text')
  return readText(cell)
}

function readEpoch(number: number, form: 'integer' | 'real' | 'text') {
  if (!(number >= SECONDS_MIN && number < END)) return undefined
  const unit = number < MS_MIN ? 's' : 'ms'
  return {
    at: Math.round(unit === 's' ? number * 1_000 : number),
    spelling: { kind: 'epoch', unit, form },
  } as const
}

function readText(text: string): { at: number; spelling: Spelling } | undefined {
  if (DATE.test(text)) return withInstant(Date.parse(`${text}T00:00:00Z`), { kind: 'date' })
  const [, day, separator, time, fraction = '', zone = ''] = DATE_TIME.exec(text) ?? []
  if (day === undefined || (separator !== 'T' && separator !== ' ')) return undefined
  const offset = zone === '' ? 'Z' : zone.replace(/^([+-]\d{2})(\d{2})$/, '$1:$2')
  const ms = fraction.slice(0, 3).padEnd(3, '0')
  return withInstant(Date.parse(`${day}T${time}.${ms}${offset}`), {
    kind: 'date-time',
    separator,
    fractionDigitCount: fraction.length,
    zone: zone.replaceAll(/[0-9]/g, '0').replace('-', '+'),
  })
}

function withInstant(at: number, spelling: Spelling) {
  return Number.isNaN(at) ? undefined : { at, spelling }
}

/** @param at `ms` since the epoch */
export function spellInstant(at: number, spelling: Spelling): Cell {
  const iso = new Date(at).toISOString()
  if (spelling.kind === 'date') return iso.slice(0, 10)
  if (spelling.kind === 'epoch') return spellEpoch(at, spelling)
  const { separator, fractionDigitCount, zone } = spelling
  const fraction = iso.slice(20, 23).padEnd(9, '0').slice(0, fractionDigitCount)
  const point = fraction === '' ? '' : '.'
  return `${iso.slice(0, 10)}${separator}${iso.slice(11, 19)}${point}${fraction}${zone}`
}

function spellEpoch(at: number, { unit, form }: Spelling & { kind: 'epoch' }): Cell {
  if (form === 'real') return unit === 's' ? at / 1_000 : at
  const whole = unit === 's' ? Math.floor(at / 1_000) : at
  return form === 'text' ? String(whole) : BigInt(whole)
}
