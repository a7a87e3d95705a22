import type { Command } from 'commander'
import { toAbsolutePath } from '../platform/paths.ts'
import type { CliContext } from './context.ts'
import { formatElapsed } from './format.ts'
import { formatBytes } from './format-bytes.ts'
import type { Act } from './program.ts'
import { startProgress } from './progress.ts'
import { showOne } from './show-one.ts'

type Options = { readonly logs: boolean }
type Report = {
  readonly path: string
  readonly fileCount: number
  readonly bytes: number
  readonly lastEventSeq: number
  readonly mirrorCount: number
  readonly createdAt: string
  readonly durationMs: number
}

export function configure(command: Command, act: Act): void {
  command
    .argument('<path>', "new folder, on the daemon's host")
    .option('--no-logs', 'leave out the output of attempts')
    .addHelpText(
      'after',
      '\nWork goes on meanwhile. Without a daemon the store is copied directly. Secrets and the configuration file are' +
        '\nnot in it; everything else is: keep it as private as the state directory. Take it back: swarm restore',
    )
    .action(
      act<Options>(async (context, [argument = ''], { logs }) => {
        const { output, places } = context
        const path = toAbsolutePath(argument, places.workingDirectory, places)
        const progress = startProgress(context.terminal, output)
        progress.status(`copying to ${path}`)
        let report: Report
        try {
          report = await backUp(context, path, logs)
        } finally {
          progress.stop()
        }
        showOne(output, report, {
          id: () => report.path,
          text: () => {
            const { fileCount, bytes, mirrorCount, lastEventSeq, durationMs } = report
            output.line(
              `${path}: ${formatBytes(bytes)} in ${fileCount} files, ${mirrorCount} mirrors, events up to ${lastEventSeq}, in ${formatElapsed(durationMs)}`,
            )
          },
        })
      }),
    )
}

async function backUp(context: CliContext, path: string, hasLogs: boolean): Promise<Report> {
  const client = await context.connect()
  try {
    return await client.maintenance.backUp({ path, hasLogs }, context)
  } catch (error) {
    if (!isWithoutDaemon(error)) throw error
    const { backUpWithoutDaemon } = await import('./local/back-up-without-daemon.ts')
    return await backUpWithoutDaemon(context, path, hasLogs)
  }
}

/** Nobody answers at the socket of this host. At another address it may be the network. */
function isWithoutDaemon(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof Error && error.cause.name === 'UnreachableSocket'
}
