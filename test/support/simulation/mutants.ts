/** Ways to break the fences: each is the store or a host without one of the conditions that keep two holders apart. */
import type { StoreWriter } from '../../../src/store/contract.ts'
import type { Aim } from './faults.ts'
import type { Row, Sql } from './simulated-store.ts'
import type { Process } from './virtual-time.ts'

export type Mutant = {
  readonly name: string
  /**
   * Called before the store takes the write: changes what the store's condition looks at, or gives another input.
   * `undefined`: the input stays
   */
  alter?(write: AlteredWrite): Promise<object | undefined>
  /** What the first coordinator's clock is ahead of the others, `ms` */
  readonly skewMs?: number
  /** Where to look for it, so that few seeds find it out; without it many do */
  readonly aim?: Aim
}

type AlteredWrite = {
  readonly name: keyof StoreWriter
  readonly input: object
  readonly process: Process
  readonly sql: Sql
}
type Proof = { runId: string; holder: string; epoch: number }

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'a claim takes what somebody holds',
    async alter({ name, process, sql }) {
      if (name !== 'claimNext') return undefined
      const [run] = await sql(
        `select id from runs where status = 'running' and lease_holder <> ? and workflow <> 'external'
         order by id limit 1`,
        process.name,
      )
      if (run !== undefined) await free(sql, run)
      return undefined
    },
  },
  {
    name: 'a heartbeat extends whatever lease it names',
    async alter({ name, input, sql }) {
      if (name !== 'renewLeases') return undefined
      // Names each run as it is held now; the holder is one for all runs of a heartbeat.
      const { runs } = input as { runs: Proof[] }
      const renewed = await Promise.all(runs.map((proof) => toCurrent(proof, sql)))
      const holder = renewed.find((proof) => proof.holder !== undefined)?.holder
      return { ...input, runs: renewed, ...(holder === undefined ? {} : { holder }) }
    },
  },
  unfenced('steps are written under any epoch', [
    'createStepInstances',
    'startAttempt',
    'advanceAttempt',
    'succeedAttempt',
    'failAttempt',
    'endStepInstance',
    'openWait',
  ]),
  // Whoever takes such a run over finishes it at once: it takes a second one that is frozen at the same place.
  {
    ...unfenced('a run is finished under any epoch', ['finishRun']),
    aim: { write: 'finishRun', fault: 'freeze' },
  },
  {
    name: 'an effect that is being sent is given to a second sender',
    async alter({ name, sql }) {
      if (name === 'claimEffects') await sql(`update effects set status = 'pending' where status = 'sending'`)
      return undefined
    },
  },
  { name: 'a clock is a minute ahead', skewMs: 60_000 },
  { name: 'a clock is a minute behind', skewMs: -60_000 },
]

function unfenced(name: string, writes: readonly (keyof StoreWriter)[]): Mutant {
  return {
    name,
    async alter({ name: write, input, sql }) {
      return writes.includes(write) ? await toCurrent(input as Proof, sql) : undefined
    },
  }
}

/** The same write as the run's present holder would make it: what a store does that does not look at the proof. */
async function toCurrent<T extends Proof>(input: T, sql: Sql): Promise<T> {
  const [held] = await sql(
    `select lease_holder, lease_epoch from runs where id = ? and status = 'running'`,
    input.runId,
  )
  if (held === undefined) return input
  return { ...input, holder: String(held.lease_holder), epoch: Number(held.lease_epoch) }
}

async function free(sql: Sql, { id }: Row): Promise<void> {
  await sql(
    `update runs set status = 'queued', lease_holder = null, lease_expires_at = null where id = ?`,
    id,
  )
}
