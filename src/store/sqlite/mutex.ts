import { AsyncLocalStorage } from 'node:async_hooks'

/** One at a time, in the order of asking. */
export type Mutex = {
  /** Throws when called from inside its own turn: that would wait for itself for ever. */
  run<T>(work: () => Promise<T>): Promise<T>
  /** Runs something that is not part of the turn although it is called within it, such as a listener. */
  outside(work: () => void): void
}

export function createMutex(): Mutex {
  const inTurn = new AsyncLocalStorage<true>()
  let last: Promise<unknown> = Promise.resolve()
  return {
    async run(work) {
      if (inTurn.getStore() === true) {
        throw new Error('inside a transaction the store is used through the writer that was given to it')
      }
      const turn = last.then(() => inTurn.run(true, work))
      last = turn.then(
        () => undefined,
        () => undefined,
      )
      return await turn
    },
    outside: (work) => inTurn.exit(work),
  }
}
