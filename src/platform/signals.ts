export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGUSR2'

/** Calls back on each of these signals in place of ending the process. Gives what undoes it; safe to call twice. */
export function onStopSignals(
  signals: readonly StopSignal[],
  listener: (signal: StopSignal) => void,
): () => void {
  const listeners = signals.map((signal) => ({ signal, listen: () => listener(signal) }))
  for (const { signal, listen } of listeners) process.on(signal, listen)
  return () => {
    for (const { signal, listen } of listeners) process.off(signal, listen)
  }
}
