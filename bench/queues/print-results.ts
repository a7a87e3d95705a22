import { print } from '../report.ts'
import { median, percentile } from '../sample.ts'
import type { Measure } from './measure.ts'
import { PEERS } from './peer-list.ts'
import type { CellOutcome } from './run-cells.ts'

const NAME_WIDTH = 28
const FIGURE_WIDTH = 24

/** As it comes, so that a run that is ended early has told what it measured. */
export function printOutcome({ cell, result }: CellOutcome, number: number, count: number): void {
  const place = `${String(number).padStart(String(count).length)}/${count} round ${cell.round}`
  print(`  ${place}  ${cell.variant.name}, ${nameMeasure(cell.measure)}: ${describe(result)}`)
}

function describe(result: CellOutcome['result']): string {
  if ('failure' in result) return `FAILED: ${result.failure}`
  if (result.kind === 'drain') return `${formatRate(result.jobsPerSecond)} jobs/s`
  return `p50 ${formatMs(percentile(result.latenciesMs, 50))}, p99 ${formatMs(percentile(result.latenciesMs, 99))}`
}

function nameMeasure(measure: Measure): string {
  if (measure.kind === 'latency') return 'arrivals on an idle worker'
  return `backlog of ${measure.jobCount}, ${measure.concurrency} at a time`
}

/** Medians over the rounds, in brackets the least and the most, and beside them how many times the first row's. */
export function printTables(outcomes: readonly CellOutcome[]): void {
  const measures = new Map(outcomes.map(({ cell }) => [nameMeasure(cell.measure), cell.measure]))
  for (const [name, measure] of [...measures].sort(([, a], [, b]) => toOrder(a) - toOrder(b))) {
    const ofMeasure = outcomes.filter(({ cell }) => nameMeasure(cell.measure) === name)
    if (measure.kind === 'drain') {
      printTable(`${name}: jobs/s, more is better`, ofMeasure, toRate, formatRate)
    } else {
      for (const percent of [50, 99]) {
        const title = `${name}: enqueue → handler, p${percent}, less is better`
        printTable(title, ofMeasure, (result) => toPercentile(result, percent), formatMs)
      }
    }
  }
}

function toOrder(measure: Measure): number {
  return measure.kind === 'latency' ? 0 : measure.concurrency
}

type Figure = (result: CellOutcome['result']) => number | undefined

const toRate: Figure = (result) =>
  'kind' in result && result.kind === 'drain' ? result.jobsPerSecond : undefined

function toPercentile(result: CellOutcome['result'], percent: number): number | undefined {
  return 'kind' in result && result.kind === 'latency' ? percentile(result.latenciesMs, percent) : undefined
}

function printTable(
  title: string,
  outcomes: readonly CellOutcome[],
  toFigure: Figure,
  format: (value: number) => string,
): void {
  const measured = new Set(outcomes.map(({ cell }) => cell.variant.name))
  const variants = PEERS.flatMap((peer) => peer.variants.map(({ name }) => name))
  const rows = variants.filter((name) => measured.has(name))
  const figuresOf = (variant: string) =>
    outcomes
      .filter(({ cell }) => cell.variant.name === variant)
      .flatMap(({ result }) => toFigure(result) ?? [])
  const base = median(figuresOf(variants[0] ?? ''))
  print()
  print(title)
  for (const variant of rows) {
    const figures = figuresOf(variant)
    const shown =
      figures.length === 0
        ? 'no result'
        : `${format(median(figures))} (${format(Math.min(...figures))} – ${format(Math.max(...figures))})`
    const ratio = Number.isNaN(base) || figures.length === 0 ? '' : `${(median(figures) / base).toFixed(2)} ×`
    print(`  ${variant.padEnd(NAME_WIDTH)}${shown.padStart(FIGURE_WIDTH)}${ratio.padStart(10)}`)
  }
}

function formatMs(ms: number): string {
  return `${ms.toFixed(1)} ms`
}

function formatRate(rate: number): string {
  return Math.round(rate).toLocaleString('en')
}
