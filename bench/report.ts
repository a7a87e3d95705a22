import { percentile, type Sample } from './sample.ts'

export type Aim = {
  readonly name: string
  readonly value: number
  /** Met when the value is at most this */
  readonly atMost: number
  readonly unit: string
}

const NAME_WIDTH = 58
const NUMBER_WIDTH = 9

export function print(line = ''): void {
  process.stdout.write(`${line}\n`)
}

export function printHead(title: string): void {
  print()
  print(title)
  print(
    `  ${''.padEnd(NAME_WIDTH)}${['n', 'p50 ms', 'p99 ms'].map((word) => word.padStart(NUMBER_WIDTH)).join('')}`,
  )
}

export function printSample(name: string, sample: Sample): void {
  const figures = [percentile(sample, 50), percentile(sample, 99)].map((ms) => ms.toFixed(1))
  const cells = [String(sample.length), ...figures].map((text) => text.padStart(NUMBER_WIDTH))
  print(`  ${name.padEnd(NAME_WIDTH)}${cells.join('')}`)
}

/** Each aim beside what was measured. An aim that was not met is told, not a failure: machines differ. */
export function printAims(aims: readonly Aim[]): void {
  print()
  print('aims')
  for (const { name, value, atMost, unit } of aims) {
    const verdict = value <= atMost ? 'met' : 'NOT MET'
    const measured = `${format(value)} ${unit}`.padStart(12)
    print(`  ${name.padEnd(NAME_WIDTH)}${measured}   aim ≤ ${`${atMost} ${unit}`.padEnd(9)} ${verdict}`)
  }
}

function format(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1)
}
