import type { Command } from 'commander'
import { signalProcess } from '../../platform/process.ts'
import { isProcessAlive } from '../../platform/process-identity.ts'
import { CliError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import type { Act } from '../program.ts'
import { startProgress } from '../progress.ts'
import { showOne } from '../show-one.ts'
import { type DaemonRecord, findDaemon } from './daemon-record.ts'
import { DRAIN_TIMEOUT_MS } from './drain-timeout.ts'
import { findStateDir } from './find-state-dir.ts'

type Options = { readonly wait?: boolean; readonly now?: boolean }

const RELOOK_MS = 100

export function configure(command: Command, act: Act): void {
  command
    .option('--wait', 'let running work end first, however long it takes')
    .option('--now', 'cut the stop short')
    .addHelpText(
      'after',
      '\nRunning sandboxes are left to be adopted by the next start, unless --wait is given.',
    )
    .action(
      act<Options>(async (context, _args, options) => {
        if (options.wait === true && options.now === true) {
          throw new CliError(EXIT.usage, '--wait and --now contradict each other')
        }
        const { output } = context
        const stateDir = await findStateDir(context)
        const daemon = await findDaemon(stateDir)
        if (daemon === undefined) {
          output.message(`no daemon serves ${stateDir}`)
          if (output.format === 'json') output.json({ pid: null })
          return
        }
        await stop(context, daemon, options)
        showOne(
          output,
          { pid: daemon.pid },
          {
            id: ({ pid }) => String(pid),
            text: () => output.line('swarm is down'),
          },
        )
      }),
    )
}

async function stop(context: CliContext, daemon: DaemonRecord, { wait, now }: Options): Promise<void> {
  signal(daemon, wait === true ? 'SIGUSR2' : 'SIGTERM')
  if (now === true) signal(daemon, 'SIGTERM')
  const progress = startProgress(context.terminal, context.output)
  progress.status(`stopping process ${daemon.pid}`)
  const deadline = wait === true ? Number.POSITIVE_INFINITY : Date.now() + DRAIN_TIMEOUT_MS
  try {
    while (await isProcessAlive(daemon)) {
      context.signal.throwIfAborted()
      if (Date.now() > deadline) {
        const hint = 'cut it short: swarm down --now'
        throw new CliError(EXIT.timeout, `process ${daemon.pid} is still stopping`, {
          hint,
          code: 'timed_out',
        })
      }
      await new Promise((resolve) => setTimeout(resolve, RELOOK_MS))
    }
  } finally {
    progress.stop()
  }
}

function signal(daemon: DaemonRecord, name: 'SIGTERM' | 'SIGUSR2'): void {
  if (signalProcess(daemon.pid, name)) return
  throw new CliError(EXIT.auth, `process ${daemon.pid} is gone or belongs to another user`, {
    hint: 'try it as that user',
  })
}
