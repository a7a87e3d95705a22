/** A coordinator that a test kills while a sandbox waits for its ticket: starts one ahead, says so, and waits. */
import { once } from 'node:events'
import { createTestSandboxDriver, type TestSandboxKind, toTestSpawnRequest } from './sandbox.ts'

const [kind, stateDir] = process.argv.slice(2) as [TestSandboxKind, string]
const driver = await createTestSandboxDriver(kind, stateDir)
const request = await toTestSpawnRequest(driver)
await driver.warm?.(request, AbortSignal.timeout(20_000))
process.stdout.write(`${JSON.stringify({ id: request.sandboxId })}\n`)
setInterval(() => {}, 60_000)
await once(process, 'never')
