import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished, type TestContext, test } from 'vitest'
import { findPostgresBin } from '../../bench/queues/postgres-server.ts'
import { findRedis } from '../../bench/queues/redis-server.ts'
import { runProcess, spawnProcess } from '../../src/platform/process.ts'

const BENCH = fileURLToPath(new URL('../../bench/queues/main.ts', import.meta.url))
const ABSENT = ['--postgres-bin', '/nonexistent', '--redis-server', '/nonexistent/redis-server']
const TABLES = [
  'arrivals on an idle worker: enqueue → handler, p50, less is better',
  'arrivals on an idle worker: enqueue → handler, p99, less is better',
  'backlog of 20, 1 at a time: jobs/s, more is better',
  'backlog of 60, 50 at a time: jobs/s, more is better',
]

/** Only that it works and says everything: a clock on the wall is no test. */
async function prepareBench(...args: readonly string[]) {
  const directory = await mkdtemp(join(tmpdir(), 'swarm-bq-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  // As root the servers are somebody else, who has to get at what is in it.
  await chmod(directory, 0o711)
  const own = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  )
  const argv = [process.execPath, BENCH, '--quick', ...args]
  const env: Record<string, string> = { ...Object.fromEntries(own), TMPDIR: directory }
  return { argv, env, listLeft: () => readdir(directory) }
}

async function runBench({ expect }: TestContext, ...args: readonly string[]): Promise<string> {
  const { argv, env, listLeft } = await prepareBench(...args)
  const { code, stdout, stderr } = await runProcess({
    argv,
    env,
    timeoutMs: 100_000,
    outputBytesMax: 1_000_000,
  })
  expect({ code, stderr: stderr.toString() }).toEqual({ code: 0, stderr: '' })
  expect(await listLeft()).toEqual([])
  const text = stdout.toString()
  expect(text).not.toContain('FAILED')
  return text
}

/** Rows of all tables: the variant, its figure with the spread, how many times the first row's. */
function listRows(text: string, variant: string): string[] {
  const row = /^ {2}(.+?) +[\d.,]+(?: ms)? \([\d.,]+(?: ms)? – [\d.,]+(?: ms)?\) +[\d.]+ ×$/
  return text.split('\n').filter((line) => row.exec(line)?.[1] === variant)
}

test('the benchmark of queues measures Swarm alone, and says why it skips what is absent', async (context) => {
  const { expect } = context
  const text = await runBench(context, '--seed', '7', ...ABSENT)
  expect(text).toContain('graphile-worker: SKIPPED: there is no PostgreSQL server in /nonexistent\n')
  expect(text).toContain('bullmq: SKIPPED: there is no Redis server at /nonexistent/redis-server\n')
  for (const fact of [`node ${process.version}`, ' cores (', 'load average before: ', 'all files on '])
    expect(text).toContain(fact)
  expect(text).toMatch(/^swarm: swarm \d+\.\d+\.\d+, SQLite \d+\.\d+\.\d+ of Node$/m)
  expect(text).toContain('synchronous=FULL')
  expect(text).toContain('6 cells in 1 rounds, shuffled with --seed 7\n')
  for (const table of TABLES) expect(text).toContain(`\n${table}\n`)
  const rows = listRows(text, 'Swarm, store')
  expect(rows).toHaveLength(TABLES.length)
  for (const row of rows) expect(row).toMatch(/ 1\.00 ×$/)
  expect(listRows(text, 'Swarm, poller')).toHaveLength(TABLES.length)
})

test('the benchmark of queues measures the others where their servers are installed', async (context) => {
  const { expect, skip } = context
  const missing = [findPostgresBin(undefined), findRedis(undefined)].map((found) =>
    found.then(
      () => [],
      (error: Error) => [error.message],
    ),
  )
  const reasons = (await Promise.all(missing)).flat()
  if (reasons.length > 0) skip(reasons.join('; '))
  const text = await runBench(context)
  expect(text).not.toContain('SKIPPED')
  expect(text).toMatch(
    /^graphile-worker: graphile-worker [\d.]+, PostgreSQL .*fsync=on.*synchronous_commit=on/m,
  )
  expect(text).toMatch(/^bullmq: bullmq [\d.]+, ioredis [\d.]+, Redis [\d.]+ \(appendonly=yes/m)
  for (const variant of [
    'graphile-worker',
    'graphile-worker, tuned',
    'bullmq, durable',
    'bullmq',
    'bullmq, tuned',
  ])
    expect(listRows(text, variant), variant).toHaveLength(TABLES.length)
}, 120_000)

test('the benchmark of queues leaves nothing when it is interrupted', async ({ expect }) => {
  const { argv, env, listLeft } = await prepareBench(...ABSENT)
  const bench = spawnProcess({ argv, env, stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  bench.stdout?.setEncoding('utf8').on('data', (piece: string) => {
    text += piece
    if (text.includes(' round 1 ')) bench.killGroup('SIGINT')
  })
  expect(await bench.closed).toMatchObject({ code: 130 })
  expect(text).toContain(' round 1 ')
  expect(await listLeft()).toEqual([])
})
