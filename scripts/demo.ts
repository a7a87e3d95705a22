/** `npm run demo`: the command `swarm demo`, with the arguments given. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const swarm = fileURLToPath(new URL('../bin/swarm.cjs', import.meta.url))
const child = spawn(process.execPath, [swarm, 'demo', ...process.argv.slice(2)], { stdio: 'inherit' })
// The child is told by the terminal itself; this process waits for it to end in its own time.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => child.kill('SIGTERM'))
child.on('close', (code, signal) => {
  process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1)
})
