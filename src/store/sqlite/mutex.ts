/** One at a time, in the order of asking. */
export type Mutex = {
  run<T>(work: () => Promise<T>): Promise<T>
}

export function createMutex(): Mutex {
  let last: Promise<unknown> = Promise.resolve()
  return {
    run(work) {
      const turn = last.then(work)
      last = turn.then(
        () => undefined,
        () => undefined,
      )
      return turn
    },
  }
}
