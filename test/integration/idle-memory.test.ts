import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { runProcess } from '../../src/platform/process.ts'

test('what was needed for a moment goes back to the system when the process is idle', async () => {
  const script = fileURLToPath(new URL('../support/idle-process.ts', import.meta.url))
  const { stdout, stderr, code } = await runProcess({
    argv: [process.execPath, script],
    timeoutMs: 50_000,
    outputBytesMax: 100_000,
  })
  expect({ code, stderr: stderr.toString() }).toEqual({ code: 0, stderr: '' })
  const { busyMib, idleMib } = JSON.parse(stdout.toString()) as { busyMib: number; idleMib: number }
  expect(busyMib).toBeGreaterThan(40)
  expect(idleMib).toBeLessThan(busyMib / 2)
})
