/** `npm run check`: format, lint, types, imports and unit tests, side by side; exits 1 when any fails. */
import { spawn } from 'node:child_process'

const STEPS: readonly (readonly [name: string, ...argv: string[]])[] = [
  ['format and lint', 'biome', 'check', '.'],
  ['types', 'tsc'],
  ['imports', 'npm', 'run', '--silent', 'imports'],
  ['unit tests', 'vitest', 'run', '--project', 'unit'],
]

const results = await Promise.all(STEPS.map(runStep))
for (const { name, code, output, seconds } of results) {
  if (code !== 0) process.stdout.write(`\n--- ${name} ---\n${output}\n`)
  process.stdout.write(`${code === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)\n`)
}
process.exitCode = results.some(({ code }) => code !== 0) ? 1 : 0

function runStep([name, command, ...args]: (typeof STEPS)[number]) {
  const startedAt = Date.now()
  return new Promise<{ name: string; code: number; output: string; seconds: string }>((resolve) => {
    const child = spawn(command as string, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (data) => (output += data))
    child.stderr.on('data', (data) => (output += data))
    child.on('error', (error) => (output += String(error)))
    child.on('close', (code) => {
      resolve({ name, code: code ?? 1, output, seconds: ((Date.now() - startedAt) / 1000).toFixed(1) })
    })
  })
}
