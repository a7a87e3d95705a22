import { createFakeHost } from '../../src/sandbox/fake/create-fake-driver.ts'
import { createTestSandboxDriver } from '../support/sandbox.ts'
import { describeBubblewrap } from './sandbox-isolation-suite.ts'
import { describeSandboxDriver } from './sandbox-suite.ts'

const host = createFakeHost()

const bubblewrap = {
  name: `bubblewrap as ${process.getuid?.() === 0 ? 'root' : 'an ordinary user'}`,
  isReal: true,
  createDriver: (stateDir: string) => createTestSandboxDriver('bubblewrap', stateDir),
}
describeSandboxDriver(bubblewrap)
describeBubblewrap(bubblewrap)
describeSandboxDriver({
  name: 'none',
  isReal: true,
  createDriver: (stateDir) => createTestSandboxDriver('none', stateDir),
})
describeSandboxDriver({
  name: 'fake',
  isReal: false,
  createDriver: (stateDir) => createTestSandboxDriver('fake', stateDir, { host }),
})
