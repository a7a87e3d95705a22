import type { NewEvent, Tx } from '../transaction.ts'

export async function recordEvents(tx: Tx, input: readonly NewEvent[]): Promise<void> {
  for (const event of input) tx.emit(event)
}
