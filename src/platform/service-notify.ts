/**
 * Tells a service manager that the daemon is ready, alive, or about to end. systemd listens on a unix datagram
 * socket, which Node cannot open, so its own program `systemd-notify` speaks; PM2 listens on the channel that it
 * opened when it started us. Without either everything here does nothing.
 */
import type { Environment } from './environment.ts'
import { runProcess } from './process.ts'

export type ServiceNotifier = {
  /** Says that the sockets answer, and begins to feed the watchdog. Resolves within seconds; never rejects */
  ready(status: string): Promise<void>
  /** Says that the end has begun. Resolves within seconds; never rejects */
  stopping(status: string): Promise<void>
  /** Feeds the watchdog no more. May be called twice */
  close(): void
}

export type ServiceNotifierInput = {
  readonly environment: Environment
  /** Whether work goes on; asked twice in each period of the watchdog, more often after a no. No answer is a no */
  readonly isLive: () => Promise<boolean>
  readonly warn: (fields: Readonly<Record<string, unknown>>, fact: string) => void
}

/** Time that one message may take, `ms`: systemd-notify waits until systemd has read it */
const SEND_TIMEOUT_MS = 5_000
const OUTPUT_BYTES_MAX = 1024
/** A watchdog with a shorter period than this is a mistake of the unit, `ms` */
const WATCHDOG_MS_MIN = 200

export function createServiceNotifier({ environment, isLive, warn }: ServiceNotifierInput): ServiceNotifier {
  const send = createSender(environment, warn)
  const periodMs = environment.NOTIFY_SOCKET ? readWatchdogMs(environment) : undefined
  let timer: NodeJS.Timeout | undefined
  let isClosed = false
  let isStopping = false
  let wasLive = true

  const feed = async (): Promise<void> => {
    const live = await within(isLive(), (periodMs ?? 0) / 2)
    if (isClosed) return
    if (live) await send('WATCHDOG=1')
    else if (wasLive) {
      warn({}, 'not live: the watchdog of the service manager is not fed')
      await send('STATUS=not live: loops stand still or the store does not answer')
    }
    wasLive = live
    schedule()
  }
  const schedule = (): void => {
    if (periodMs === undefined || isClosed) return
    // After a no there is half a period left to see it live again, as after a leap of the clock: look more often.
    timer = setTimeout(() => void feed(), wasLive ? periodMs / 2 : periodMs / 10)
    // It must not keep a process that has nothing else to do.
    timer.unref()
  }

  return {
    async ready(status) {
      tellPm2(environment)
      schedule()
      // Told to stop while it started: systemd must not take it for started after that.
      if (!isStopping) await send('READY=1', toStatus(status))
    },
    stopping(status) {
      isStopping = true
      return send('STOPPING=1', toStatus(status))
    },
    close() {
      isClosed = true
      clearTimeout(timer)
    },
  }
}

/** Period of the watchdog that the manager set for this very process, `ms`. */
export function readWatchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }: Environment): number | undefined {
  if (WATCHDOG_USEC === undefined || !/^\d{1,15}$/.test(WATCHDOG_USEC)) return undefined
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(process.pid)) return undefined
  return Math.max(WATCHDOG_MS_MIN, Number(WATCHDOG_USEC) / 1000)
}

/** One message after the other; one that fails is said once and holds up nothing. */
function createSender(environment: Environment, warn: ServiceNotifierInput['warn']) {
  const { NOTIFY_SOCKET, PATH } = environment
  let last: Promise<void> = Promise.resolve()
  let hasWarned = false
  const run = async (words: readonly string[]): Promise<void> => {
    const trouble = await notify(words, { NOTIFY_SOCKET: NOTIFY_SOCKET ?? '', PATH: PATH ?? '/usr/bin:/bin' })
    if (trouble === undefined || hasWarned) return
    hasWarned = true
    warn({ trouble }, 'the service manager was not told: systemd-notify failed')
  }
  return (...words: readonly string[]): Promise<void> => {
    if (!NOTIFY_SOCKET) return Promise.resolve()
    last = last.then(() => run(words))
    return last
  }
}

/** @returns what went wrong, in words */
async function notify(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  try {
    const { code, timedOut, stderr } = await runProcess({
      argv: ['systemd-notify', ...words],
      env,
      timeoutMs: SEND_TIMEOUT_MS,
      outputBytesMax: OUTPUT_BYTES_MAX,
    })
    if (code === 0) return undefined
    return timedOut ? `no end within ${SEND_TIMEOUT_MS} ms` : stderr.toString('utf8').trim()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** PM2 with `wait_ready` waits for this word; it hands its settings to the process as variables. */
function tellPm2({ wait_ready }: Environment): void {
  if (wait_ready !== 'true' || process.send === undefined) return
  // PM2 may be gone; that is no trouble of ours.
  process.send('ready', undefined, undefined, () => {})
}

/** One line: a line break would begin another variable of the protocol. */
function toStatus(status: string): string {
  return `STATUS=${status.replaceAll(/\p{Cc}/gu, ' ')}`
}

/** The answer in time; `false` when it fails or does not come. */
async function within(answer: Promise<boolean>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs)
    timer.unref()
  })
  return await Promise.race([answer.catch(() => false), late]).finally(() => clearTimeout(timer))
}
