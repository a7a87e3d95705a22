/** A coordinator that a test kills: starts a sandbox with a program that prints for ever, says so, and waits. */
import { once } from 'node:events'
import { createTestSandboxDriver, spawnTestSandbox, type TestSandboxKind } from './sandbox.ts'

const [kind, stateDir] = process.argv.slice(2) as [TestSandboxKind, string]
const driver = await createTestSandboxDriver(kind, stateDir)
const sandbox = await spawnTestSandbox(driver)
const script = 'i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 0.05; done'
await sandbox.exec({ execId: 'lines', argv: ['sh', '-c', script] })
for await (const event of sandbox.attach('lines')) {
  if (event.kind !== 'stdout') continue
  process.stdout.write(`${JSON.stringify({ id: sandbox.id, read: event.offset + event.data.length })}\n`)
}
await once(process, 'never')
