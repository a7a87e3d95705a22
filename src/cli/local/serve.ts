import type { Config } from '../../config/config.ts'
import { loadSecrets } from '../../config/secrets.ts'
import { type Daemon, startDaemon } from '../../main.ts'
import { releaseMemoryWhenIdle } from '../../platform/idle-memory.ts'
import { createLogger } from '../../platform/log.ts'
import { createServiceNotifier } from '../../platform/service-notify.ts'
import { onStopSignals } from '../../platform/signals.ts'
import { surviveStrayRejections } from '../../platform/stray-rejections.ts'
import { CliError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { findDaemon, removeDaemonRecord, writeDaemonRecord } from './daemon-record.ts'

type StopMode = 'drain' | 'wait' | 'now'

/** Runs the daemon in this process until it is told to stop. */
export async function serve(
  context: CliContext,
  config: Config,
  { stopMode }: { stopMode: 'drain' | 'wait' },
): Promise<undefined> {
  await assertAlone(config)
  const logger = createLogger(config.log)
  let daemon: Daemon | undefined
  const manager = createServiceNotifier({
    environment: context.environment,
    isLive: async () => (await daemon?.isLive()) === true,
    warn: (fields, fact) => logger.warn(fields, fact),
  })
  const stops = collectStops(context, stopMode, (explanation) => void manager.stopping(explanation))
  const letFail = surviveStrayRejections((err) =>
    logger.error({ err }, 'a promise failed that nobody waited for'),
  )
  const keepMemory = releaseMemoryWhenIdle()
  try {
    daemon = await start(context, config)
    await writeDaemonRecord(config.stateDir, daemon.apiUrl)
    announce(context, daemon)
    stops.serveTo(daemon)
    await manager.ready(`serves ${daemon.apiSocketPath}`)
    await daemon.closed
  } finally {
    manager.close()
    stops.release()
    letFail()
    keepMemory()
    await removeDaemonRecord(config.stateDir)
  }
}

/** @throws CliError when a daemon serves this state directory already */
export async function assertAlone({ stateDir }: Config): Promise<void> {
  const running = await findDaemon(stateDir)
  if (running === undefined || running.pid === process.pid) return
  const hint = 'swarm status, or swarm down'
  throw new CliError(EXIT.conflict, `a daemon serves ${stateDir} already: process ${running.pid}`, {
    hint,
    code: 'already_up',
  })
}

async function start(context: CliContext, config: Config): Promise<Daemon> {
  if (config.sandbox.driver === 'none') {
    context.output.message('WARNING: sandbox.driver is none: agents run on this host without any isolation')
  }
  const secrets = await loadSecrets(config, context.environment)
  try {
    return await startDaemon({ config, secrets })
  } catch (error) {
    if (!(error instanceof Error) || error.name === 'AssertionError') throw error
    throw new CliError(EXIT.failed, `the daemon could not start: ${error.message}`, {
      hint: hintFor(error),
      code: 'start_failed',
      cause: error,
    })
  }
}

/** A sandbox that cannot be made says itself what to do. */
function hintFor({ code, fix }: Error & { readonly code?: string; readonly fix?: string }): string {
  if (fix !== undefined) return fix
  if (code === 'EADDRINUSE') return 'choose another port: --port 0, or listen.port in the configuration'
  if (code === 'EACCES' || code === 'EPERM') return 'check who owns the state directory: swarm doctor'
  return 'swarm doctor'
}

function announce({ output }: CliContext, { apiSocketPath, apiUrl }: Daemon): void {
  if (output.format === 'json') output.jsonLine({ pid: process.pid, apiSocketPath, apiUrl })
  output.message(`swarm is up: ${apiSocketPath}${apiUrl === null ? '' : ` and ${apiUrl}`}`)
}

/** The first signal stops as configured (SIGUSR2: waits), the second now, the third without goodbye. */
function collectStops(
  { output, takeOverSignals }: CliContext,
  firstMode: 'drain' | 'wait',
  onStop: (explanation: string) => void,
) {
  let daemon: Daemon | undefined
  let asked: StopMode | undefined
  const release = onStopSignals(['SIGINT', 'SIGTERM', 'SIGUSR2'], (signal) => {
    if (asked === 'now') process.exit(EXIT.interrupted)
    asked = asked !== undefined ? 'now' : signal === 'SIGUSR2' ? 'wait' : firstMode
    output.message(EXPLANATIONS[asked])
    onStop(EXPLANATIONS[asked])
    void daemon?.stop({ mode: asked })
  })
  takeOverSignals()
  return {
    /** A signal that came while it was starting counts too. */
    serveTo: (started: Daemon) => {
      daemon = started
      if (asked !== undefined) void started.stop({ mode: asked })
    },
    release,
  }
}

const EXPLANATIONS: Readonly<Record<StopMode, string>> = {
  drain: 'stopping: claims no more; running sandboxes are left to the next start (again: now)',
  wait: 'stopping: claims no more; waits for running work (again: now)',
  now: 'stopping now',
}
