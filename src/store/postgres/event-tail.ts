import type { SwarmEvent } from '../../domain/event.ts'
import { type Row, toEvent } from '../rows.ts'
import { getFinalSeq } from './run-read.ts'
import type { Session } from './session.ts'

type Listener = (events: readonly SwarmEvent[]) => void

/** Reads every event of every process in order, each once, and tells the listeners. */
export type EventTail = {
  /** @returns the function that ends the subscription */
  subscribe(listener: Listener): () => void
  /** Position of the last event that was told */
  readonly position: number
  /** This process committed events up to this position; 0: of which the position is not known. */
  hasCommitted(seq: number): void
  close(): Promise<void>
}

export type EventTailInput = {
  readonly open: () => Promise<Session>
  readonly logger: { error(fields: object, message: string): void } | undefined
}

/** Time between looks when nothing was heard, `ms`: a notification may get lost with its connection */
const POLL_INTERVAL_MS = 1_000
/** Shortest time between two notifications: each makes the server's commits wait for each other, `ms` */
const NOTIFY_INTERVAL_MS = 10
const PAGE_COUNT = 500
const FIRST_PAUSE_MS = 50
const PAUSE_MAX_MS = 2_000

const READ = 'select * from final_events_after($1, $2)'

/**
 * One connection listens, reads and notifies. Woken by the commits of this process and by notifications of others;
 * when the connection breaks it is opened again, and reading goes on where it stopped.
 * @throws the driver's error when the first connection cannot be made
 */
export async function openEventTail({ open, logger }: EventTailInput): Promise<EventTail> {
  const listeners = new Map<object, { listener: Listener; afterSeq: number }>()
  let session: Session | undefined = await connect()
  let position = await getFinalSeq(session)
  let committedSeq = position
  let mustNotify = false
  let notifiedAt = Number.NEGATIVE_INFINITY
  let isClosed = false
  let isRung = false
  let answer: (() => void) | undefined

  function ring(): void {
    isRung = true
    answer?.()
  }

  async function connect(): Promise<Session> {
    const opened = await open()
    opened.onNotification((processId) => {
      if (processId !== opened.processId) ring()
    })
    await opened.exec('listen swarm_events')
    return opened
  }

  /** Until something may be there, or it is time to look. */
  async function rest(longestMs: number): Promise<void> {
    if (!isRung && !isClosed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, longestMs)
        answer = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      answer = undefined
    }
    isRung = false
  }

  async function read(from: Session): Promise<void> {
    for (let isMore = true; isMore && !isClosed; ) {
      const rows = await from.query<Row<'events'>>(READ, [position, PAGE_COUNT])
      isMore = rows.length === PAGE_COUNT
      const last = rows.at(-1)
      if (last === undefined) return
      position = last.seq
      tell(rows.map(toEvent))
    }
  }

  function tell(events: readonly SwarmEvent[]): void {
    for (const { listener, afterSeq } of [...listeners.values()]) {
      const news = events.filter(({ seq }) => seq > afterSeq)
      if (news.length === 0) continue
      try {
        listener(news)
      } catch (error) {
        // The change is committed; a listener's mistake must not look like a failed write.
        logger?.error({ err: error, seq: news[0]?.seq }, 'a listener of the store threw')
      }
    }
  }

  /** @returns whether it is too early, `ms` to wait */
  async function notify(through: Session): Promise<number> {
    if (!mustNotify) return POLL_INTERVAL_MS
    const earlyMs = notifiedAt + NOTIFY_INTERVAL_MS - performance.now()
    if (earlyMs > 0) return Math.ceil(earlyMs)
    mustNotify = false
    notifiedAt = performance.now()
    await through.exec('notify swarm_events')
    return POLL_INTERVAL_MS
  }

  async function run(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS
    while (!isClosed) {
      try {
        session ??= await connect()
        const [restMs] = await Promise.all([notify(session), read(session)])
        pauseMs = FIRST_PAUSE_MS
        await rest(restMs)
      } catch (error) {
        logger?.error({ err: error, pauseMs }, 'events not read from the store; it is tried again')
        session?.destroy()
        session = undefined
        mustNotify = true
        await rest(pauseMs * (0.5 + Math.random()))
        pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)
      }
    }
    await session?.close()
  }
  const running = run()

  return {
    get position() {
      return position
    },
    subscribe(listener) {
      const key = {}
      listeners.set(key, { listener, afterSeq: committedSeq })
      return () => listeners.delete(key)
    },
    hasCommitted(seq) {
      committedSeq = Math.max(committedSeq, seq)
      mustNotify = true
      ring()
    },
    async close() {
      isClosed = true
      ring()
      await running
    },
  }
}
