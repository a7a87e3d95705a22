/** A queue beside Swarm, in one file: how it is made ready, and how one cell of the comparison uses it. */
export type Peer = {
  readonly name: string
  /** What it records of one job, so that figures are read with it */
  readonly does: string
  readonly variants: readonly Variant[]
  /**
   * Once per run, in the bench's own process: looks for what is needed, starts the servers, tells the versions.
   * Every server it starts is given to `deps.defer`, which ends it, also when the bench fails or is interrupted.
   * @throws NotAvailable with the reason why it is skipped
   */
  prepare(deps: PrepareDeps): Promise<PreparedPeer>
  /** Once per cell, in the cell's process; with nothing in the queue and no handler called before `start` */
  open(input: OpenInput): Promise<QueueUnderTest>
}

/** One way to set it up. */
export type Variant = {
  readonly name: string
  /** What was set; `default` when nothing was */
  readonly settings: string
  /** What survives a power cut when `enqueue` has resolved */
  readonly durability: string
}

export type PrepareDeps = {
  /** Exists, empty, the peer's own, on the same file system as everybody's; removed at the end */
  readonly directory: string
  readonly signal: AbortSignal
  /** Where programs are, when not where the system has them */
  readonly postgresBin: string | undefined
  readonly redisServer: string | undefined
  /** Called at the end, the last one first; each with a deadline of its own */
  defer(end: () => Promise<void>): void
}

export type PreparedPeer = {
  /** Of programs and libraries, one line */
  readonly versions: string
  /** For each variant by name: where its server listens; empty when it has none */
  readonly addresses: Readonly<Record<string, string>>
}

export type OpenInput = {
  readonly variant: string
  readonly address: string
  /** The cell's own, empty; removed after it */
  readonly directory: string
  /** Jobs at most under way at a time */
  readonly concurrency: number
  /** The handler's beginning. It does nothing more: what is measured is the queue */
  onStart(id: string): void
}

export type QueueUnderTest = {
  /** One job with `PAYLOAD`. Resolves when the queue has recorded it */
  enqueue(id: string): Promise<void>
  start(): Promise<void>
  /** Resolves when the result of every job whose handler was called is recorded */
  settle(): Promise<void>
  close(): Promise<void>
}

/** What every job carries beside its id */
export const PAYLOAD = 'what is to be done, in some words. '.repeat(8)

/** A peer that cannot be measured here; the message is the reason that is printed. */
export class NotAvailable extends Error {
  override readonly name = 'NotAvailable'
}
