import { parseArgs } from 'node:util'

/** How much is measured, of what. */
export type QueueBenchOptions = {
  readonly isQuick: boolean
  readonly roundCount: number
  /** Jobs one after the other on an idle worker, and the longest pause before each, `ms` */
  readonly arrivalCount: number
  readonly pauseMsMax: number
  /** Jobs that wait when the worker starts, by concurrency */
  readonly backlogs: readonly { readonly concurrency: number; readonly jobCount: number }[]
  /** Decides the order of the cells */
  readonly seed: number
  /** Names of peers; all when empty */
  readonly only: readonly string[]
  readonly postgresBin: string | undefined
  readonly redisServer: string | undefined
}

const FULL = {
  roundCount: 3,
  arrivalCount: 100,
  pauseMsMax: 40,
  backlogs: [
    { concurrency: 1, jobCount: 500 },
    { concurrency: 50, jobCount: 1_000 },
  ],
}

/** Says that everything still works and prints; its figures mean nothing. */
const QUICK = {
  roundCount: 1,
  arrivalCount: 5,
  pauseMsMax: 10,
  backlogs: [
    { concurrency: 1, jobCount: 20 },
    { concurrency: 50, jobCount: 60 },
  ],
}

/** @throws TypeError for an option that does not exist */
export function parseOptions(args: readonly string[], randomSeed: number): QueueBenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      seed: { type: 'string', default: String(randomSeed) },
      only: { type: 'string', multiple: true, default: [] },
      'postgres-bin': { type: 'string' },
      'redis-server': { type: 'string' },
    },
  })
  const seed = Number(values.seed)
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new TypeError(`--seed ${values.seed}: expects a whole number`)
  return {
    ...(values.quick ? QUICK : FULL),
    isQuick: values.quick,
    seed,
    only: values.only,
    postgresBin: values['postgres-bin'],
    redisServer: values['redis-server'],
  }
}
