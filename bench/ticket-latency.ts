/**
 * `npm run bench`: how long a ticket takes from its creation until it is claimed, until its process runs, and until
 * it is done; how long claims take when thousands wait; what the coordinator costs while nothing happens. Each aim
 * is printed beside what was measured. `--quick` only shows that the benchmark itself works.
 *
 * docs/operations/performance.md says what each interval means.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestSandboxDriver } from '../test/support/sandbox.ts'
import { buildPackage } from './build-package.ts'
import { type ClaimLatency, measureClaims } from './claim-latency.ts'
import { formatLoad, printFacts } from './facts.ts'
import { type IdleDaemon, measureIdleDaemon } from './idle-daemon.ts'
import { startMeasuredSwarm, type TicketMarks } from './measured-swarm.ts'
import { type BenchOptions, parseOptions } from './options.ts'
import { type Aim, print, printAims, printHead, printSample } from './report.ts'
import { median, percentile } from './sample.ts'
import { measureSandboxStart, type SandboxStart } from './sandbox-start.ts'
import { printFlow, runAlone, runBursts, sampleOf } from './ticket-flow.ts'

const options = parseOptions(process.argv.slice(2))
const directory = await mkdtemp(join(tmpdir(), 'swarm-bench-'))
try {
  const driver = await createTestSandboxDriver('bubblewrap', directory)
  await printFacts({ directory, driver, isQuick: options.isQuick })
  const claims = await benchClaims(options)
  const start = await benchSandboxStart(options)
  const [alone, aloneBehind] = await benchTickets(options)
  const idle = await benchIdle(options)
  printRatios(claims, alone, aloneBehind)
  printAims(toAims({ claims, start, alone, idle }))
  print()
  print(`load average after: ${formatLoad()}`)
} finally {
  await rm(directory, { recursive: true, force: true })
}

async function benchClaims({ claimCount, queuedCount }: BenchOptions) {
  const claims = await measureClaims({ directory, count: claimCount, queuedCount })
  printHead('claims from the store, in turns (the others are pending, claimable, of a lower priority)')
  printSample('claim, 0 others queued', claims.empty.claim)
  printSample(`claim, ${queuedCount} others queued`, claims.full.claim)
  printSample('create + claim, 0 others queued', claims.empty.createToClaimed)
  printSample(`create + claim, ${queuedCount} others queued`, claims.full.createToClaimed)
  return claims
}

async function benchSandboxStart({ sandboxCount }: BenchOptions): Promise<SandboxStart> {
  const start = await measureSandboxStart(sandboxCount)
  printHead('one sandbox by itself, without a coordinator')
  printSample('a bare Node.js with nothing to do, for comparison', start.bareNode)
  printSample('spawn → process started', start.spawnToStarted)
  printSample('stop → nothing left', start.stop)
  return start
}

/** A run step with `/bin/true`, no repository: what is measured is Swarm, not an agent. */
async function benchTickets(options: BenchOptions) {
  const { aloneCount, pauseMs, burstSize, burstCount, queuedCount } = options
  await using empty = await startMeasuredSwarm({ slotCount: burstSize, queuedCount: 0 })
  await using full = await startMeasuredSwarm({ slotCount: burstSize, queuedCount })
  const others = `${queuedCount} others pending, of a lower priority, their time not come`
  const [alone = [], aloneBehind = []] = await runAlone([empty, full], { count: aloneCount, pauseMs })
  printFlow(`tickets one after the other, ${pauseMs} ms between, 0 others queued`, alone)
  printFlow(`tickets one after the other, ${pauseMs} ms between, ${others}`, aloneBehind)
  const [burst = [], burstBehind = []] = await runBursts([empty, full], {
    size: burstSize,
    count: burstCount,
  })
  printFlow(`${burstSize} tickets at once, ${burstSize} slots, 0 others queued`, burst)
  printFlow(`${burstSize} tickets at once, ${burstSize} slots, ${others}`, burstBehind)
  return [alone, aloneBehind] as const
}

/** As it is installed: from a checkout it holds what it needs to read its sources, too. */
async function benchIdle({ idleMs, settleMs, isQuick }: BenchOptions): Promise<IdleDaemon> {
  await using built = isQuick ? undefined : await buildPackage()
  const idle = await measureIdleDaemon({ idleMs, settleMs, program: built?.program })
  print()
  const form = built === undefined ? 'from the checkout' : 'as built by npm run build, its second start'
  print(`idle daemon, a process of its own, ${form}, watched for ${idleMs / 1000} s`)
  print(
    `  resident memory: ${idle.rssMib.toFixed(1)} MiB, of it ${idle.fileMib.toFixed(1)} MiB program files`,
  )
  print(`  CPU: ${idle.cpuPercent.toFixed(2)} % of one core, ${idle.threadCount} threads`)
  return idle
}

function printRatios(
  { empty, full }: { empty: ClaimLatency; full: ClaimLatency },
  alone: readonly TicketMarks[],
  aloneBehind: readonly TicketMarks[],
): void {
  const created = [alone, aloneBehind].map((tickets) => median(sampleOf(tickets, 'createdToClaimed')))
  print()
  print('ratios of the medians, many queued to none queued')
  print(`  claim: ${(median(full.claim) / median(empty.claim)).toFixed(2)}`)
  print(
    `  store.create → claimed, through the coordinator: ${((created[1] ?? 0) / (created[0] ?? 0)).toFixed(2)}`,
  )
}

function toAims(measured: {
  claims: { empty: ClaimLatency; full: ClaimLatency }
  start: SandboxStart
  alone: readonly TicketMarks[]
  idle: IdleDaemon
}): readonly Aim[] {
  const { claims, alone, idle } = measured
  const created = sampleOf(alone, 'createdToClaimed')
  const ratio = median(claims.full.claim) / median(claims.empty.claim)
  return [
    { name: 'store.create → claimed, p50', value: median(created), atMost: 3, unit: 'ms' },
    { name: 'store.create → claimed, p99', value: percentile(created, 99), atMost: 10, unit: 'ms' },
    {
      name: "one ticket's process in bubblewrap: spawn → started, p50",
      value: median(sampleOf(alone, 'spawnToStarted')),
      atMost: 40,
      unit: 'ms',
    },
    { name: 'claims with many queued, to claims with none', value: ratio, atMost: 1.5, unit: '×' },
    { name: 'idle coordinator, resident memory', value: idle.rssMib, atMost: 120, unit: 'MiB' },
    { name: 'idle coordinator, CPU', value: idle.cpuPercent, atMost: 0.5, unit: '%' },
  ]
}
