/**
 * Looks at the store after every turn in which something was written, past the store's own code, and at every sandbox
 * that starts. It knows of each write who asked for it, and of each run who held it before.
 */
import { EXTERNAL_WORKFLOW } from '../../../src/domain/run.ts'
import { isTerminal, isTransition, type StatusOf, type Thing } from '../../../src/domain/status.ts'
import { MANUAL_CLOCK_START } from '../manual-clock.ts'
import { checkOwners } from './check-owners.ts'
import { type RunRow, type Snapshot, takeSnapshot } from './observer-snapshot.ts'
import type { SandboxWatcher, SimulatedSandbox } from './simulated-machine.ts'
import type { Sql, WriteRecord } from './simulated-store.ts'
import type { VirtualTime } from './virtual-time.ts'

/** A promise that was broken. */
export class Violation extends Error {
  constructor(promise: string, detail: string) {
    super(`${promise}: ${detail}`)
    this.name = 'Violation'
  }
}

/** How far two clocks of the simulation may be apart, `ms` */
export const SKEW_MAX_MS = 200
const HOST_SILENT_MS = 60_000

export class Observer implements SandboxWatcher {
  readonly #sql: Sql
  readonly #time: VirtualTime
  readonly #trace: (line: string) => void
  readonly #sandboxes = new Set<SimulatedSandbox>()
  readonly #written: WriteRecord[] = []
  /** Tickets whose creation was acknowledged */
  readonly #acknowledged = new Set<string>()
  #before: Snapshot | undefined
  #changeCount = -1

  constructor(input: { sql: Sql; time: VirtualTime; trace: (line: string) => void }) {
    this.#sql = input.sql
    this.#time = input.time
    this.#trace = input.trace
  }

  acknowledge(ticketId: string): void {
    this.#acknowledged.add(ticketId)
  }

  onWrite(record: WriteRecord): void {
    const end = record.end.ok ? 'ok' : record.end.code
    this.#trace(`${record.process.name} ${record.name} ${end}`)
    this.#written.push(record)
  }

  onSpawn(sandbox: SimulatedSandbox): void {
    this.#trace(`${sandbox.startedBy} spawns for ${sandbox.labels.step}`)
    for (const other of this.#sandboxes) {
      if (!other.isAlive) this.#sandboxes.delete(other)
      else if (other.key === sandbox.key) {
        throw new Violation(
          'P1: at most one live sandbox per step instance',
          `${sandbox.startedBy} starts one for ${sandbox.key} while the one of ${other.startedBy} lives`,
        )
      }
    }
    this.#sandboxes.add(sandbox)
  }

  onExec(sandbox: SimulatedSandbox): void {
    this.#trace(`${sandbox.machine} executes ${sandbox.labels.step}`)
    for (const step of this.#before?.steps.values() ?? []) {
      if (step.status === 'succeeded' && `${step.run_id} ${step.key}` === sandbox.key) {
        throw new Violation('P5: a completed step never runs again', `${sandbox.key} is executed anew`)
      }
    }
  }

  get liveSandboxCount(): number {
    return [...this.#sandboxes].filter(({ isAlive }) => isAlive).length
  }

  /** To be called between two turns. @throws Violation */
  async check(): Promise<void> {
    const written = this.#written.splice(0)
    if (written.length === 0) return
    if (written.length > 1) throw new Error('two writes were made in one turn')
    const [record] = written as [WriteRecord]
    const before = this.#before ?? (await takeSnapshot(this.#sql))
    this.#before = before
    const [row] = await this.#sql('select total_changes() as count')
    const changeCount = Number(row?.count)
    const isChanged = changeCount !== this.#changeCount
    this.#changeCount = changeCount
    checkFence(record, before, isChanged)
    if (!isChanged) return
    const after = await takeSnapshot(this.#sql)
    this.#checkRuns(record, before, after)
    checkSteps(before, after)
    await this.#checkEffects(record, before, after)
    checkOwners(after)
    for (const id of this.#acknowledged) {
      if (!after.tickets.has(id)) throw new Violation('U3: nothing acknowledged is lost', `ticket ${id}`)
    }
    const { events } = after
    if (events.count !== events.last) {
      throw new Violation('P14: events without gaps', `${events.count} events, the last is ${events.last}`)
    }
    this.#before = after
  }

  get snapshot(): Snapshot {
    if (this.#before === undefined) throw new Error('nothing was written')
    return this.#before
  }

  #checkRuns(record: WriteRecord, before: Snapshot, after: Snapshot): void {
    for (const run of after.runs.values()) {
      const was = before.runs.get(run.id)
      if (was === undefined) {
        if (run.status === 'running' && run.lease_holder !== record.process.name) {
          throw new Violation(
            'P1: one holder per run',
            `${run.id} is begun by ${record.process.name} for another`,
          )
        }
        continue
      }
      assertMove('run', run.id, was.status, run.status)
      if (run.lease_epoch < was.lease_epoch) {
        throw new Violation(
          'U4: epochs only grow',
          `${run.id} goes from ${was.lease_epoch} to ${run.lease_epoch}`,
        )
      }
      const isClaimed = run.lease_holder !== null && run.lease_holder !== was.lease_holder
      if (isClaimed && (run.lease_epoch <= was.lease_epoch || run.lease_holder !== record.process.name)) {
        throw new Violation(
          'P1: a claim has a new epoch and one holder',
          `${run.id} by ${record.process.name}`,
        )
      }
      const isSame = run.lease_holder === was.lease_holder && run.lease_epoch === was.lease_epoch
      if (was.status !== 'running') continue
      if (!isSame || run.status !== 'running') this.#checkEndOfLease(record, was, run)
      else if (run.lease_expires_at !== was.lease_expires_at && record.process.name !== was.lease_holder) {
        const who = `${record.process.name} moves that of ${was.lease_holder}`
        throw new Violation('U4: nobody but the holder extends a lease', `${run.id}: ${who}`)
      }
    }
    for (const ticket of after.tickets.values()) {
      const was = before.tickets.get(ticket.id)
      if (was !== undefined) assertMove('ticket', ticket.id, was.status, ticket.status)
    }
  }

  /** A lease ends by its holder, by its time, or because what it is for is ended by a person. */
  #checkEndOfLease(record: WriteRecord, was: RunRow, run: RunRow): void {
    const { name, process } = record
    if (process.name === was.lease_holder) return
    if (name === 'expireLeases') {
      const now = MANUAL_CLOCK_START + this.#time.now
      if (now + 2 * SKEW_MAX_MS >= (was.lease_expires_at ?? 0)) return
      const leftMs = (was.lease_expires_at ?? 0) - now
      const what = `${run.id} of ${was.lease_holder} is taken away by ${process.name}, ${leftMs} ms early`
      throw new Violation('U4: a lease that is renewed in time is kept', what)
    }
    if (name === 'cancelTicket' && was.workflow === EXTERNAL_WORKFLOW) return
    // The end of a parent ends its child runs, whoever holds them.
    if (was.parent_step_instance_id !== null && isTerminal('run', run.status)) return
    throw new Violation(
      'P1: one holder per run',
      `${run.id} is held by ${was.lease_holder}; ${process.name} takes it away with ${name}`,
    )
  }

  async #checkEffects(record: WriteRecord, before: Snapshot, after: Snapshot): Promise<void> {
    const unsent = new Map<string, string>()
    for (const effect of after.effects) {
      const was = before.effects.find(({ id }) => id === effect.id)
      if (was !== undefined) {
        assertMove('effect', effect.id, was.status, effect.status)
        if (was.status === 'done' && was.finished_at !== effect.finished_at) {
          throw new Violation('U9: an effect is recorded once', effect.key)
        }
        const isTaken =
          was.status === 'sending' && (effect.status !== 'sending' || effect.sender !== was.sender)
        if (isTaken) await this.#checkEndOfSending(record, was.sender, effect.key)
      }
      const order = `${effect.ticket_id} ${effect.kind}`
      const earlier = unsent.get(order)
      if (earlier !== undefined && effect.status !== 'pending' && effect.status !== 'dead') {
        if (was === undefined || was.status === 'pending') {
          throw new Violation('U9: effects of a ticket are sent in order', `${effect.key} before ${earlier}`)
        }
      }
      if (effect.status === 'pending' || effect.status === 'sending') unsent.set(order, effect.key)
    }
  }

  async #checkEndOfSending(record: WriteRecord, sender: string | null, key: string): Promise<void> {
    const { name, process } = record
    if (process.name === sender || name === 'completeEffect') return
    if (name === 'reclaimSendingEffects') {
      const since = MANUAL_CLOCK_START + this.#time.now - HOST_SILENT_MS + 2 * SKEW_MAX_MS
      const hosts = await this.#sql(
        'select last_seen_at from hosts where holder = ? and stopped_at is null',
        sender,
      )
      if (hosts.every(({ last_seen_at }) => Number(last_seen_at) <= since)) return
    }
    throw new Violation(
      'U9: one sender per effect',
      `${process.name} takes ${key} from ${sender} with ${name}`,
    )
  }
}

/** Every write that carries a proof is refused unless the run was held under exactly that proof. */
function checkFence(record: WriteRecord, before: Snapshot, isChanged: boolean): void {
  const { name, input, end, process } = record
  if (!end.ok) return
  if (name === 'renewLeases') {
    const { lost } = end.value as { lost: readonly string[] }
    for (const proof of input.runs as readonly { runId: string; epoch: number }[]) {
      if (lost.includes(proof.runId)) continue
      assertHeld(before.runs.get(proof.runId), process.name, proof.epoch, `${process.name} ${name}`)
    }
  } else if (name === 'claimEffects') {
    for (const { id } of end.value as readonly { id: string }[]) {
      const was = before.effects.find((effect) => effect.id === id)
      if (was?.status === 'pending') continue
      const what = `${was?.key} was ${was?.status} by ${was?.sender} when ${process.name} took it`
      throw new Violation('U9: one sender per effect', what)
    }
  } else if ('holder' in input && 'epoch' in input && 'runId' in input) {
    const run = before.runs.get(String(input.runId))
    // The same report again is answered with what was recorded.
    if (name === 'finishRun' && !isChanged && run !== undefined && isTerminal('run', run.status)) return
    assertHeld(run, String(input.holder), Number(input.epoch), `${process.name} ${name}`)
  }
}

function assertHeld(run: RunRow | undefined, holder: string, epoch: number, what: string): void {
  if (run?.status === 'running' && run.lease_holder === holder && run.lease_epoch === epoch) return
  const now = run === undefined ? 'unknown' : `${run.status} by ${run.lease_holder} at ${run.lease_epoch}`
  throw new Violation('U4: no late write is accepted', `${what} under epoch ${epoch}, run ${now}`)
}

function checkSteps(before: Snapshot, after: Snapshot): void {
  const running = new Map<string, number>()
  for (const id of after.runningStepIds) running.set(id, (running.get(id) ?? 0) + 1)
  for (const step of after.steps.values()) {
    const count = running.get(step.id) ?? 0
    if (count !== (step.status === 'running' ? 1 : 0)) {
      throw new Violation('P1: one attempt at a time', `${step.key} is ${step.status} with ${count} attempts`)
    }
    const was = before.steps.get(step.id)
    if (was === undefined) continue
    if (isTerminal('step', was.status)) {
      if (was.status !== step.status || was.attempt_count !== step.attempt_count) {
        throw new Violation('P5: a completed step never runs again', `${step.key} was ${was.status}`)
      }
    } else assertMove('step', step.key, was.status, step.status)
  }
}

/** One write may make two moves of the table. */
function assertMove<T extends Thing>(thing: T, id: string, from: StatusOf<T>, to: StatusOf<T>): void {
  if (from === to || isTransition(thing, from, to)) return
  const between = (['pending', 'running', 'queued', 'waiting', 'blocked', 'draft'] as StatusOf<T>[]).some(
    (middle) => isTransition(thing, from, middle) && isTransition(thing, middle, to),
  )
  if (!between) throw new Violation('P17: statuses move along the table', `${thing} ${id}: ${from} → ${to}`)
}
