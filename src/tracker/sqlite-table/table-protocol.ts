/** What the tracker asks of its thread, and what the thread answers. */
import type {
  FetchByStatesInput,
  TakeInput,
  TakeResult,
  TrackerCheck,
  TrackerErrorCode,
  TrackerPage,
  TrackerTickets,
  WriteBackInput,
  WriteBackResult,
} from '../contract.ts'
import type { SqliteTableMapping } from './mapping.ts'

/** Each request of the thread: its input and its answer. */
export type TableCalls = {
  check: { input: null; answer: TrackerCheck }
  fetchByStates: { input: FetchByStatesInput; answer: TrackerPage }
  fetchByIds: { input: readonly string[]; answer: TrackerTickets }
  take: { input: TakeInput; answer: TakeResult }
  writeBack: { input: WriteBackInput; answer: WriteBackResult }
}
export type TableCall = keyof TableCalls

export type TableRequest = {
  readonly call: TableCall
  readonly input: TableCalls[TableCall]['input']
  /** Becomes 1 when nobody waits for the answer any more: what is not committed by then never is */
  readonly abandoned: Int32Array<SharedArrayBuffer>
}

export type TableReply =
  | { readonly kind: 'answer'; readonly answer: TableCalls[TableCall]['answer'] }
  | {
      readonly kind: 'trouble'
      readonly code: TrackerErrorCode
      readonly message: string
      readonly fix: string | null
    }
  | { readonly kind: 'mistake'; readonly message: string }

export type TableWorkerData = {
  readonly mapping: SqliteTableMapping
  /** How long a lock of another program is waited for, `ms` */
  readonly busyTimeoutMs: number
}
