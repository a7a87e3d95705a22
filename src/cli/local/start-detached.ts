import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { apiSocketPathOf, type Config } from '../../config/config.ts'
import { createUnixFetch } from '../../platform/fetch-unix.ts'
import { makePrivateDirectory } from '../../platform/private-directory.ts'
import { type SpawnedProcess, spawnProcess } from '../../platform/process.ts'
import { CliError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { showOne } from '../show-one.ts'
import { findDaemon } from './daemon-record.ts'
import { assertAlone } from './serve.ts'

const READY_TIMEOUT_MS = 60_000
const RELOOK_MS = 50
const LOG_LINE_COUNT = 20
const PROGRAM = fileURLToPath(new URL('../../../bin/swarm.cjs', import.meta.url))

/** Starts the daemon in a session of its own and returns when it answers. */
export async function startDetached(
  context: CliContext,
  config: Config,
  options: { readonly port?: string; readonly wait?: boolean },
): Promise<undefined> {
  await assertAlone(config)
  await makePrivateDirectory(config.stateDir)
  const logPath = join(config.stateDir, 'daemon.log')
  const log = await open(logPath, 'a', 0o600)
  const { size } = await log.stat()
  try {
    const child = spawnDaemon(context, config, options, log)
    await untilReady(context, config, child, { logPath, logOffset: size })
    child.unref()
  } finally {
    await log.close()
  }
  const running = await findDaemon(config.stateDir)
  const { output } = context
  const facts = {
    pid: running?.pid ?? null,
    apiSocketPath: apiSocketPathOf(config),
    apiUrl: running?.apiUrl ?? null,
    logPath,
  }
  showOne(output, facts, {
    id: ({ pid }) => String(pid),
    text: ({ pid, apiSocketPath, apiUrl }) => {
      output.line(`swarm is up: process ${pid}, ${apiSocketPath}${apiUrl === null ? '' : ` and ${apiUrl}`}`)
      output.message(`its log is ${logPath}; stop it with: ${toDownCommand(context)}`)
    },
  })
}

/** Finds the same daemon again, however this one was told of its place. */
function toDownCommand({ globals }: CliContext): string {
  const config = globals.config === undefined ? '' : ` --config ${globals.config}`
  const stateDir = globals.stateDir === undefined ? '' : ` --state-dir ${globals.stateDir}`
  return `swarm${config}${stateDir} down`
}

function spawnDaemon(
  { environment, globals }: CliContext,
  config: Config,
  options: { readonly port?: string; readonly wait?: boolean },
  log: FileHandle,
): SpawnedProcess {
  return spawnProcess({
    argv: [
      process.execPath,
      PROGRAM,
      'up',
      '--state-dir',
      config.stateDir,
      ...(globals.config === undefined ? [] : ['--config', globals.config]),
      ...(options.port === undefined ? [] : ['--port', options.port]),
      ...(options.wait === true ? ['--wait'] : []),
    ],
    // Keys of models and forges come from it.
    env: Object.fromEntries(
      Object.entries(environment).flatMap(([name, value]) => (value ? [[name, value]] : [])),
    ),
    stdio: ['ignore', log.fd, log.fd],
  })
}

/** @throws CliError with the end of its log when it ends, or does not answer in time */
async function untilReady(
  context: CliContext,
  config: Config,
  child: SpawnedProcess,
  log: { readonly logPath: string; readonly logOffset: number },
): Promise<void> {
  let hasEnded = false
  child.exited.then(
    () => (hasEnded = true),
    () => (hasEnded = true),
  )
  const ask = createUnixFetch(apiSocketPathOf(config))
  const deadline = Date.now() + READY_TIMEOUT_MS
  while (Date.now() < deadline && !hasEnded) {
    if (context.signal.aborted) child.killGroup('SIGTERM')
    context.signal.throwIfAborted()
    const answer = await ask('http://localhost/healthz', { signal: AbortSignal.timeout(1_000) }).catch(
      () => undefined,
    )
    await answer?.body?.cancel()
    if (answer !== undefined && (await findDaemon(config.stateDir))?.pid === child.pid) return
    await new Promise((resolve) => setTimeout(resolve, RELOOK_MS))
  }
  if (!hasEnded) child.killGroup('SIGTERM')
  const said = await readEnd(log)
  const what = hasEnded
    ? 'the daemon ended at once'
    : `the daemon did not answer within ${READY_TIMEOUT_MS / 1000} s`
  throw new CliError(EXIT.failed, `${what}; its log says:\n${said}`, {
    hint: 'swarm doctor',
    code: 'start_failed',
  })
}

async function readEnd({ logPath, logOffset }: { logPath: string; logOffset: number }): Promise<string> {
  const bytes = await readFile(logPath)
  const lines = bytes.subarray(logOffset).toString('utf8').trimEnd().split('\n')
  return lines.slice(-LOG_LINE_COUNT).join('\n')
}
