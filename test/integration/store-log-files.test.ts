import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type RunId, toId } from '../../src/domain/id.ts'
import type { AttemptLogs, AttemptLogWriter, AttemptRef, LogChunk } from '../../src/store/attempt-log.ts'
import { createLogFiles } from '../../src/store/log-files/log-files.ts'
import { toLogFolder } from '../../src/store/log-files/log-path.ts'
import { createManualClock, MANUAL_CLOCK_START } from '../support/manual-clock.ts'

const RUN: RunId = toId('run', MANUAL_CLOCK_START, new Uint8Array(16))
const REF: AttemptRef = { runId: RUN, stepKey: 'build[3]', attempt: 1 }
const clock = createManualClock()

let directory: string
let logs: AttemptLogs
/** Also of "crashed" processes: their descriptors are ours to close */
let writers: AttemptLogWriter[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'swarm-logs-'))
  logs = reopen()
})
afterEach(async () => {
  for (const writer of writers) await writer.close()
  writers = []
  await rm(directory, { recursive: true, force: true })
})

/** Another process: nothing of the first one's memory. */
function reopen(byteCountMax?: number): AttemptLogs {
  const opened = createLogFiles({
    directory,
    clock,
    ...(byteCountMax === undefined ? {} : { byteCountMax }),
  })
  return {
    ...opened,
    async open(ref) {
      const writer = await opened.open(ref)
      writers.push(writer)
      return writer
    },
  }
}

async function collect(chunks: AsyncIterable<LogChunk>): Promise<LogChunk[]> {
  const all: LogChunk[] = []
  for await (const chunk of chunks) all.push(chunk)
  return all
}

function text(chunks: readonly LogChunk[]): string {
  return Buffer.concat(chunks.map(({ data }) => data)).toString()
}

test('what was appended is read back: order, streams, instants, offsets', async () => {
  const writer = await logs.open(REF)
  await Promise.all([
    writer.append('stdout', Buffer.from('one ')),
    writer.append('stderr', Buffer.from('two ')),
    writer.append('system', Buffer.from('three')),
  ])
  await writer.close()
  const chunks = await collect(logs.read(REF, {}))
  expect(chunks.map(({ offset, at, stream }) => [offset, at, stream])).toEqual([
    [0, clock.now(), 'stdout'],
    [4, clock.now(), 'stderr'],
    [8, clock.now(), 'system'],
  ])
  expect(text(chunks)).toBe('one two three')
  expect(await reopen().find(REF)).toEqual({
    endOffset: 13,
    stdoutOffset: 4,
    stderrOffset: 4,
    isTruncated: false,
    isClosed: true,
  })
})

test('a part is read by offset, from the end, and by length; over many index entries too', async () => {
  const writer = await logs.open(REF)
  const whole = Buffer.alloc(3_000_000)
  for (let at = 0; at < whole.length; at += 4) whole.writeUInt32BE(at, at)
  for (let at = 0; at < whole.length; at += 50_000) {
    await writer.append('stdout', whole.subarray(at, at + 50_000))
  }
  await writer.close()
  for (const [fromOffset, byteCountMax] of [
    [0, 10],
    [49_999, 3],
    [1_234_567, 200_001],
    [2_999_999, 100],
    [3_000_000, 100],
    [9_000_000, 1],
  ] as const) {
    const read = Buffer.concat(
      (await collect(reopen().read(REF, { fromOffset, byteCountMax }))).map(({ data }) => data),
    )
    expect(read.equals(whole.subarray(fromOffset, fromOffset + byteCountMax)), `${fromOffset}`).toBe(true)
  }
  const tail = await collect(logs.read(REF, { fromOffset: -7 }))
  expect(tail[0]?.offset).toBe(2_999_993)
  expect(Buffer.concat(tail.map(({ data }) => data)).equals(whole.subarray(-7))).toBe(true)
  expect(text(await collect(logs.read(REF, { fromOffset: -9_000_000, byteCountMax: 4 })))).toBe('\0\0\0\0')
})

test('a closed log is read on, not appended to; closing twice is nothing', async () => {
  const writer = await logs.open(REF)
  await writer.append('stdout', Buffer.from('x'))
  await writer.close()
  await writer.close()
  await expect(writer.append('stdout', Buffer.from('y'))).rejects.toThrow(/has ended/)
  const again = await reopen().open(REF)
  expect(again.position).toMatchObject({ endOffset: 1, isClosed: true })
  await expect(again.append('stdout', Buffer.from('y'))).rejects.toThrow(/has ended/)
  expect(text(await collect(logs.read(REF, {})))).toBe('x')
})

test('after a crash the log ends with its last whole chunk, at any torn length, and goes on there', async () => {
  const writer = await logs.open(REF)
  await writer.append('stdout', Buffer.from('whole '))
  const folder = toLogFolder(directory, REF)
  const kept = (await stat(join(folder, 'records'))).size
  await writer.append('stderr', Buffer.from('torn'))
  const full = await readFile(join(folder, 'records'))
  for (let size = kept; size < full.length; size++) {
    await writeFile(join(folder, 'records'), full.subarray(0, size))
    const other = reopen()
    expect(await other.find(REF), `cut at ${size}`).toMatchObject({ endOffset: 6, stderrOffset: 0 })
    const resumed = await other.open(REF)
    expect(resumed.position).toMatchObject({ endOffset: 6, stdoutOffset: 6, stderrOffset: 0 })
    await resumed.append('stderr', Buffer.from('again'))
    expect(text(await collect(other.read(REF, {})))).toBe('whole again')
  }
})

test('garbage after the last whole chunk, or in the index, does not stop reading', async () => {
  const writer = await logs.open(REF)
  for (let i = 0; i < 20; i++) await writer.append('stdout', Buffer.alloc(50_000, 65 + i))
  const folder = toLogFolder(directory, REF)
  await appendFile(join(folder, 'records'), Buffer.alloc(5_000, 0xa7))
  await appendFile(join(folder, 'index'), Buffer.alloc(640, 0xff))
  const other = reopen()
  expect(await other.find(REF)).toMatchObject({ endOffset: 1_000_000 })
  const resumed = await other.open(REF)
  await resumed.append('stdout', Buffer.from('more'))
  expect(text(await collect(other.read(REF, { fromOffset: 999_998 })))).toBe('TTmore')
})

test('an index of a tail that is gone is not believed', async () => {
  const writer = await logs.open(REF)
  for (let i = 0; i < 20; i++) await writer.append('stdout', Buffer.alloc(50_000, 65 + i))
  await truncate(join(toLogFolder(directory, REF), 'records'), 120_000)
  const other = reopen()
  const { endOffset } = (await other.find(REF)) ?? { endOffset: -1 }
  expect(endOffset).toBe(100_000)
  expect(text(await collect(other.read(REF, { fromOffset: 99_999 })))).toBe('B')
  expect((await other.open(REF)).position.endOffset).toBe(100_000)
})

test('a follower sees every byte once and in order, and ends with the log', async () => {
  const writer = await logs.open(REF)
  const followers = [logs, reopen(), reopen()].map(async (source) =>
    text(await collect(source.read(REF, { follow: true }))),
  )
  let expected = ''
  for (let i = 0; i < 200; i++) {
    const line = `line ${i}\n`
    expected += line
    void writer.append(i % 2 === 0 ? 'stdout' : 'stderr', Buffer.from(line))
    if (i % 17 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await writer.close()
  expect(await Promise.all(followers)).toEqual([expected, expected, expected])
})

test('a follower of a log that does not exist yet waits for it; an abort ends it', async () => {
  const early = collect(logs.read(REF, { follow: true }))
  const abort = new AbortController()
  const endless = collect(logs.read({ ...REF, attempt: 2 }, { follow: true, signal: abort.signal }))
  const writer = await logs.open(REF)
  await writer.append('stdout', Buffer.from('here'))
  await writer.close()
  expect(text(await early)).toBe('here')
  abort.abort()
  expect(await endless).toEqual([])
})

test('a log is bounded: what comes after is counted and dropped, also after a reopen', async () => {
  const bounded = reopen(10_000)
  const writer = await bounded.open(REF)
  await writer.append('stdout', Buffer.alloc(9_000, 97))
  await writer.append('stderr', Buffer.alloc(5_000, 98))
  await writer.append('stdout', Buffer.alloc(7_000, 99))
  expect(writer.position).toMatchObject({ stdoutOffset: 16_000, stderrOffset: 5_000, isTruncated: true })
  await writer.close()
  const { size } = await stat(join(toLogFolder(directory, REF), 'records'))
  expect(size).toBeLessThan(10_000 + 200)
  const found = await reopen(10_000).find(REF)
  expect(found).toMatchObject({
    stdoutOffset: 16_000,
    stderrOffset: 5_000,
    isTruncated: true,
    isClosed: true,
  })
  expect(text(await collect(logs.read(REF, {}))).startsWith('a'.repeat(9_000))).toBe(true)
})

test('1 GB of output takes no more room than the bound', { timeout: 60_000 }, async () => {
  const bounded = reopen(1_000_000)
  const writer = await bounded.open(REF)
  const chunk = Buffer.alloc(10_000_000, 120)
  for (let i = 0; i < 100; i++) await writer.append('stdout', chunk)
  await writer.close()
  expect(writer.position.stdoutOffset).toBe(1_000_000_000)
  expect((await stat(join(toLogFolder(directory, REF), 'records'))).size).toBeLessThan(1_100_000)
})

test('U14: no step key and no run id leads out of the directory', async () => {
  const hostile = [
    '../../../escape',
    '..',
    '.',
    '',
    '/etc/passwd',
    'a/b',
    'nul\0byte',
    'back\\slash',
    `${'long'.repeat(500)}`,
    'ünïcode ✓ 🙂',
    'build[3]',
    '%2e%2e',
  ]
  const outside = await readdir(join(directory, '..'))
  for (const stepKey of hostile) {
    const writer = await logs.open({ ...REF, stepKey })
    await writer.append('stdout', Buffer.from(stepKey.slice(0, 20)))
    await writer.close()
  }
  const odd = await logs.open({ ...REF, runId: '../../oops' as RunId })
  await odd.close()
  expect(await readdir(directory)).toHaveLength(2)
  expect((await readdir(join(directory, '..'))).filter((name) => /escape|oops/.test(name))).toEqual(
    outside.filter((name) => /escape|oops/.test(name)),
  )
  const listed = await logs.list(RUN)
  expect(listed.map(({ stepKey }) => stepKey).sort()).toEqual([...hostile].sort())
})

test('attempts of a run are listed with their ends; removing a run removes them all', async () => {
  for (const attempt of [1, 2, 10]) {
    const writer = await logs.open({ ...REF, attempt })
    await writer.append('stdout', Buffer.from('x'.repeat(attempt)))
    if (attempt < 10) await writer.close()
  }
  const listed = await logs.list(RUN)
  expect(listed.map(({ attempt, endOffset, isClosed }) => [attempt, endOffset, isClosed])).toEqual([
    [1, 1, true],
    [2, 2, true],
    [10, 10, false],
  ])
  await logs.remove(RUN)
  expect(await logs.list(RUN)).toEqual([])
  expect(await logs.find(REF)).toBeUndefined()
  expect(await collect(logs.read(REF, {}))).toEqual([])
})

test('opening twice in one process gives the one writer', async () => {
  const [a, b] = await Promise.all([logs.open(REF), logs.open(REF)])
  await Promise.all([a.append('stdout', Buffer.from('a')), b.append('stdout', Buffer.from('b'))])
  expect(text(await collect(logs.read(REF, {})))).toBe('ab')
  await a.close()
})
