/** A process that needed much memory for a moment and then has nothing to do; says how large its heap is. */
import { setTimeout as delay } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'
import { releaseMemoryWhenIdle } from '../../src/platform/idle-memory.ts'

const stop = releaseMemoryWhenIdle()
const rows = Array.from({ length: 400_000 }, (_, index) => ({ index, text: `row ${index}` }))
const busyMib = getHeapStatistics().total_heap_size / 2 ** 20
const sum = rows.reduce((total, { text }) => total + text.length, 0)
rows.length = 0
await delay(12_000)
const idleMib = getHeapStatistics().total_heap_size / 2 ** 20
stop()
process.stdout.write(JSON.stringify({ sum, busyMib, idleMib }))
