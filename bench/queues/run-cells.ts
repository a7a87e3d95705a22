import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import { runProcess } from '../../src/platform/process.ts'
import type { Peer, PreparedPeer, Variant } from './contract.ts'
import type { CellResult, Measure } from './measure.ts'

export type Cell = {
  readonly peer: Peer
  readonly prepared: PreparedPeer
  readonly variant: Variant
  readonly measure: Measure
  /** Counted from 1 */
  readonly round: number
}

export type CellOutcome = { readonly cell: Cell; readonly result: CellResult | { readonly failure: string } }

const PROGRAM = fileURLToPath(new URL('./cell.ts', import.meta.url))
const CELL_TIMEOUT_MS = 20_000

const resultSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('latency'), latenciesMs: z.array(z.number()) }),
  z.object({ kind: z.literal('drain'), jobsPerSecond: z.number() }),
])

/** One after the other; one that fails or takes too long is told and does not end the others. */
export async function* runCells(
  cells: readonly Cell[],
  { directory, signal }: { readonly directory: string; readonly signal: AbortSignal },
): AsyncGenerator<CellOutcome> {
  for (const cell of cells) yield { cell, result: await runCell(cell, directory, signal) }
}

async function runCell(cell: Cell, parent: string, signal: AbortSignal): Promise<CellOutcome['result']> {
  const directory = await mkdtemp(join(parent, 'cell-'))
  try {
    const { peer, prepared, variant, measure } = cell
    const address = prepared.addresses[variant.name] ?? ''
    const request = { peer: peer.name, variant: variant.name, address, directory, measure }
    const { code, stdout, stderr, timedOut } = await runProcess({
      argv: [process.execPath, PROGRAM, JSON.stringify(request)],
      timeoutMs: CELL_TIMEOUT_MS,
      outputBytesMax: 1_000_000,
      signal,
    })
    if (timedOut) return { failure: `no end within ${CELL_TIMEOUT_MS / 1000} s` }
    if (code !== 0) return { failure: toReason(stderr) }
    return resultSchema.parse(JSON.parse(stdout.toString('utf8')))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Where Node says what went wrong, above the stack. */
function toReason(stderr: Buffer): string {
  const lines = stderr.toString('utf8').split('\n')
  return (
    lines.find((line) => /^\w*(Error|NotAvailable)\b/i.test(line)) ?? lines.find(Boolean) ?? 'it said nothing'
  )
}

/** The same order for the same seed. */
export function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const shuffled = [...items]
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const [a, b] = [shuffled[last] as T, shuffled[other] as T]
    shuffled[last] = b
    shuffled[other] = a
  }
  return shuffled
}

/** Numbers from 0 to 1 (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
