/** The file for PM2, which reads it with `require`; pure. */
import { join } from 'node:path'
import { EXIT } from '../../exit-codes.ts'
import type { ServicePlan } from './service-plan.ts'

const APP_NAME = 'swarm'

export function toPm2File(plan: ServicePlan): string {
  const { nodePath, programPath, configPath, stateDir } = plan
  const app = {
    name: APP_NAME,
    script: programPath,
    args: ['up', '--config', configPath, '--state-dir', stateDir],
    interpreter: nodePath,
    cwd: stateDir,
    exec_mode: 'fork',
    instances: 1,
    wait_ready: true,
    listen_timeout: plan.startTimeoutMs,
    kill_timeout: plan.stopTimeoutMs,
    treekill: false,
    autorestart: true,
    min_uptime: 10_000,
    max_restarts: 10,
    stop_exit_codes: [EXIT.usage, EXIT.conflict, EXIT.badNode],
    watch: false,
    pmx: false,
    vizion: false,
    out_file: join(stateDir, 'daemon.out.log'),
    error_file: join(stateDir, 'daemon.log'),
    merge_logs: true,
  }
  return `// fork, one instance: two daemons on one state refuse each other.
// wait_ready: PM2 says "online" when the sockets answer.
// kill_timeout: above the time that a stop may take. treekill: false: sandboxes are left to the next start.
// stop_exit_codes: wrong configuration, another daemon on this state, a Node.js that is too old. Not 0: PM2 takes
// a process that was killed for one that ended with 0, and it is to start that one again.
// No restart_delay: with one PM2 shows "waiting restart" for ever where it does not start again.
// pmx: false: nothing of PM2 is loaded into the daemon.
module.exports = {
  apps: [
${JSON.stringify(app, null, 2).replaceAll(/^/gm, '    ')},
  ],
}
`
}
