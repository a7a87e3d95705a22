/** Prints the descriptors that a workload of a sandbox has: `node print-descriptors.ts <driver> <directory>`. */
import { runInSandbox } from '../../src/sandbox/run-in-sandbox.ts'
import { createTestSandboxDriver, spawnTestSandbox, type TestSandboxKind } from './sandbox.ts'

const [kind = '', directory = ''] = process.argv.slice(2)
const driver = await createTestSandboxDriver(kind as TestSandboxKind, directory)
const sandbox = await spawnTestSandbox(driver)
const listed = await runInSandbox(
  sandbox,
  { execId: 'list', argv: ['sh', '-c', 'ls /proc/self/fd'], timeoutMs: 10_000 },
  { outputBytesMax: 10_000 },
)
await sandbox.stop({ graceMs: 0 })
if (listed.kind === 'lost') throw new Error(listed.reason)
process.stdout.write(listed.stdout)
