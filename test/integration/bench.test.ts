import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { runProcess } from '../../src/platform/process.ts'

const BENCH = fileURLToPath(new URL('../../bench/ticket-latency.ts', import.meta.url))

/** Only that it works and says everything: a clock on the wall is no test. */
test('the benchmark prints every interval, the machine it ran on, and each aim beside its figure', async () => {
  const { code, stdout, stderr } = await runProcess({
    argv: [process.execPath, BENCH, '--quick'],
    timeoutMs: 55_000,
    outputBytesMax: 1_000_000,
  })
  expect(stderr.toString()).toBe('')
  expect(code).toBe(0)
  const text = stdout.toString()
  const lines = text.split('\n')

  for (const fact of ['node v', 'SQLite ', 'sandbox driver bubblewrap: ', ' cores', 'load average before: '])
    expect(text).toContain(fact)
  expect(text).toContain('journal_mode=wal synchronous=full')

  const intervals = [
    'store.create → claimed',
    "claimed → spawn (the engine's own part)",
    'spawn → process started',
    'process started → done',
    'store.create → done',
  ]
  for (const interval of intervals) {
    const rows = lines.filter((line) => line.trim().startsWith(`${interval}  `))
    const measured = rows.filter((line) => /\s+\d+\s+[\d.]+\s+[\d.]+$/.test(line))
    // Alone and at once, each with and without others queued.
    expect(measured.length, interval).toBeGreaterThanOrEqual(4)
  }
  for (const others of [0, 50]) expect(text).toMatch(new RegExp(`claim, ${others} others queued\\s+10 `))
  expect(text).toMatch(/resident memory: [\d.]+ MiB/)
  expect(text).toMatch(/CPU: [\d.]+ % of one core/)

  const aims = lines.slice(lines.indexOf('aims') + 1).filter((line) => line.includes(' aim ≤ '))
  expect(aims).toHaveLength(6)
  for (const aim of aims)
    expect(aim).toMatch(/[\d.]+ (ms|×|MiB|%)\s+aim ≤ [\d.]+ (ms|×|MiB|%)\s+(met|NOT MET)$/)
})
