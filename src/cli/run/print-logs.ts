import type { SwarmClient } from '../../client/client.ts'
import { CliError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { createLogPrinter, type LogFormat } from './log-printer.ts'

export type LogRequest = LogFormat & {
  readonly isFollowing: boolean
  readonly step: string | null
  readonly attempt: number | null
  readonly tailLineCount: number | null
  /** Nothing older, `ms` since the epoch */
  readonly sinceMs: number | null
}

type AttemptLog = Awaited<ReturnType<SwarmClient['runs']['listLogs']>>['items'][number]

const OVER = ['succeeded', 'failed', 'canceled']
const RELOOK_MS = 1_000
/** Bytes read from the end for each line wanted, when only the last lines are */
const LINE_BYTES_GUESS = 400
const TAIL_BYTES_MIN = 64 * 1024

/** Prints the output of the run's attempts: so far, or until the run is over. */
export async function printLogs(
  context: CliContext,
  client: SwarmClient,
  runId: string,
  request: LogRequest,
): Promise<void> {
  const started = new Map<string, Promise<void>>()
  let failure: unknown
  let isOver = false
  for (;;) {
    const run = await client.runs.get(runId, context)
    const { items } = await client.runs.listLogs(runId, context)
    const wanted = items.filter((log) => isWanted(log, request))
    const hasSeveral = new Set(run.steps.map(({ key }) => key)).size > 1 && request.step === null
    for (const log of wanted) {
      const name = `${log.stepKey}#${log.attempt}`
      if (started.has(name)) continue
      const printing = printAttempt(context, client, runId, log, { ...request, hasStepNames: hasSeveral })
      started.set(name, printing)
      // One after the other when nothing grows, side by side when it does.
      if (!request.isFollowing) await printing
      else printing.catch((error) => (failure ??= error))
    }
    if (failure !== undefined) throw failure
    isOver = OVER.includes(run.status)
    if (!request.isFollowing || isOver) break
    await pause(RELOOK_MS, context.signal)
  }
  await Promise.all(started.values())
  context.signal.throwIfAborted()
  if (started.size > 0) return
  if (request.step === null && request.attempt === null) {
    return context.output.message(
      isOver ? `no output: it ended before anything ran; see why: swarm run show ${runId}` : 'no output yet',
    )
  }
  throw new CliError(EXIT.notFound, 'there is no such log in this run', { hint: `swarm run show ${runId}` })
}

function isWanted({ stepKey, attempt }: AttemptLog, request: LogRequest): boolean {
  return (
    (request.step === null || request.step === stepKey) &&
    (request.attempt === null || request.attempt === attempt)
  )
}

async function printAttempt(
  context: CliContext,
  client: SwarmClient,
  runId: string,
  log: AttemptLog,
  request: LogRequest & { readonly hasStepNames: boolean },
): Promise<void> {
  if (log.byteCount === 0 && !request.isFollowing) return
  const printer = createLogPrinter(context, log, request)
  const { tailLineCount } = request
  const tail = tailLineCount === null ? undefined : Math.max(TAIL_BYTES_MIN, tailLineCount * LINE_BYTES_GUESS)
  const ref = { runId, stepKey: log.stepKey, attempt: log.attempt }
  // Lines that were there already count for `--tail`; what comes after is shown as it comes.
  for await (const piece of client.runs.followLog(ref, { tail, signal: context.signal })) {
    const isOld = piece.offset < log.byteCount
    const isRecent = request.sinceMs === null || Date.parse(piece.at) >= request.sinceMs
    if (isRecent) await printer.write(piece, { isHeldBack: isOld && tailLineCount !== null })
    const hasAll = piece.offset + piece.byteCount >= log.byteCount
    if (hasAll) await printer.release(tailLineCount ?? 0)
    if (hasAll && !request.isFollowing) break
  }
  await printer.end()
  if (log.isTruncated) context.output.message(`${log.stepKey}: output beyond the bound was dropped`)
}

async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, delayMs)
  signal.addEventListener('abort', () => resolve(), { once: true })
  await promise
  clearTimeout(timer)
  signal.throwIfAborted()
}
