/**
 * The guest program: supervisor of a sandbox and its only door. It is started with its configuration on
 * standard input and a listening control socket as an inherited descriptor, so that nothing a workload can see
 * (paths, arguments, environment) leads to it. It ends when told to, or when its dead-man deadline passes; in
 * both cases every process of the sandbox ends first.
 */
import { closeInheritedDescriptors } from './close-descriptors.ts'
import { serveControl } from './control-server.ts'
import { Deadman } from './deadman.ts'
import { ExecTable } from './exec-table.ts'
import { openGateway } from './gateway-relay.ts'
import { killEverything, refuseHostNamespace } from './process-tree.ts'
import { readConfig } from './read-config.ts'
import { becomeWorkloadUser } from './workload-user.ts'

const EXIT_AFTER_DEADMAN = 75
const FLUSH_MS = 100

const config = await readConfig()
closeInheritedDescriptors([0, 1, 2, config.controlFd])
refuseHostNamespace(config)
becomeWorkloadUser(config)

const execs = new ExecTable(config)
const deadman = new Deadman(config.deadmanMs, () => {
  execs.endAll('deadman')
  killEverything(config)
  setTimeout(() => process.exit(EXIT_AFTER_DEADMAN), FLUSH_MS)
})
const control = serveControl(config, { execs, deadman })
openGateway(config, { openTunnel: () => control.openTunnel() }).then(
  (port) => execs.setGatewayPort(port),
  (error: Error) => execs.refuse(`the gateway relay did not start: ${error.message}`),
)

// A signal from the host means: end now. The host kills what does not follow.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => {
    killEverything(config)
    process.exit(0)
  })
}
