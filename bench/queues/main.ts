/**
 * `npm run bench:queue`: how long a ticket waits for its handler, and how fast a backlog is worked off, in Swarm's
 * store and in the queues that people know, in one run and in random order. What is not there is skipped, with the
 * reason. docs/operations/performance.md says what is compared and how to read it.
 *
 *   --quick                 only shows that the benchmark works
 *   --only <peer>           of the peers only this one; may be repeated
 *   --seed <number>         the order of an earlier run
 *   --postgres-bin <dir>    where initdb and postgres are
 *   --redis-server <path>   the program
 */
import { randomInt } from 'node:crypto'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onStopSignals } from '../../src/platform/signals.ts'
import { formatLoad, nameFileSystem, printMachine } from '../facts.ts'
import { print } from '../report.ts'
import { NotAvailable, type Peer, type PreparedPeer } from './contract.ts'
import type { Measure } from './measure.ts'
import { parseOptions, type QueueBenchOptions } from './options.ts'
import { PEERS } from './peer-list.ts'
import { printOutcome, printTables } from './print-results.ts'
import { type Cell, type CellOutcome, createRandom, runCells, shuffle } from './run-cells.ts'

const EXIT_INTERRUPTED = 130
const END_TIMEOUT_MS = 15_000

const stop = new AbortController()
onStopSignals(['SIGINT', 'SIGTERM'], () => {
  stop.abort(new DOMException('stopped by a signal', 'AbortError'))
})
try {
  await bench(parseOptions(process.argv.slice(2), randomInt(1_000_000)), stop.signal)
} catch (error) {
  if (!stop.signal.aborted) throw error
  process.exitCode = EXIT_INTERRUPTED
}

async function bench(options: QueueBenchOptions, signal: AbortSignal): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'swarm-queues-'))
  const ends: (() => Promise<void>)[] = [() => rm(directory, { recursive: true, force: true })]
  try {
    // Servers that do not run as root have their directories in it.
    await chmod(directory, 0o711)
    print(`node ${process.version}`)
    printMachine()
    print(`all files on ${await nameFileSystem(directory)}`)
    if (options.isQuick) print('--quick: only shows that the benchmark works; its figures mean nothing')
    const prepared = await prepareAll(options, { directory, signal, defer: (end) => void ends.push(end) })
    const outcomes: CellOutcome[] = []
    const cells = listCells(prepared, options)
    print(`${cells.length} cells in ${options.roundCount} rounds, shuffled with --seed ${options.seed}`)
    for await (const outcome of runCells(cells, { directory, signal })) {
      outcomes.push(outcome)
      printOutcome(outcome, outcomes.length, cells.length)
    }
    printTables(outcomes)
    print()
    print(`load average after: ${formatLoad()}`)
  } finally {
    await endAll(ends)
  }
}

/** The last that began ends first; one that does not end does not keep the others from ending. */
async function endAll(ends: readonly (() => Promise<void>)[]): Promise<void> {
  for (const end of ends.toReversed()) {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, END_TIMEOUT_MS)
    await Promise.race([end(), late]).finally(() => clearTimeout(timer))
  }
}

type Prepared = { readonly peer: Peer; readonly prepared: PreparedPeer }

async function prepareAll(
  options: QueueBenchOptions,
  deps: { directory: string; signal: AbortSignal; defer(end: () => Promise<void>): void },
): Promise<readonly Prepared[]> {
  const all: Prepared[] = []
  for (const peer of PEERS) {
    print()
    try {
      if (options.only.length > 0 && !options.only.includes(peer.name))
        throw new NotAvailable(`not asked for (--only ${options.only.join(' --only ')})`)
      const directory = join(deps.directory, peer.name)
      await mkdir(directory, { mode: 0o711 })
      const { postgresBin, redisServer } = options
      const prepared = await peer.prepare({ ...deps, directory, postgresBin, redisServer })
      all.push({ peer, prepared })
      print(`${peer.name}: ${prepared.versions}`)
      print(`  records: ${peer.does}`)
      for (const { name, settings, durability } of peer.variants)
        print(`  ${name}: ${settings}; ${durability}`)
    } catch (error) {
      if (!(error instanceof NotAvailable)) throw error
      print(`${peer.name}: SKIPPED: ${error.message}`)
    }
  }
  print()
  return all
}

function listCells(all: readonly Prepared[], options: QueueBenchOptions): readonly Cell[] {
  const { arrivalCount, pauseMsMax, backlogs, roundCount } = options
  const measures: readonly Measure[] = [
    { kind: 'latency', arrivalCount, pauseMsMax },
    ...backlogs.map((backlog) => ({ kind: 'drain', ...backlog }) as const),
  ]
  const random = createRandom(options.seed)
  return Array.from({ length: roundCount }, (_, at) => {
    const cells = all.flatMap(({ peer, prepared }) =>
      peer.variants.flatMap((variant) =>
        measures.map((measure) => ({ peer, prepared, variant, measure, round: at + 1 })),
      ),
    )
    return shuffle(cells, random)
  }).flat()
}
