import type { Output } from './output.ts'

/** One thing in the format that was asked for. */
export function showOne<T>(
  output: Output,
  thing: T,
  as: { id: (thing: T) => string; text: (thing: T) => void; json?: unknown },
): void {
  if (output.format === 'json') output.json(as.json ?? thing)
  else if (output.format === 'ids') output.line(as.id(thing))
  else as.text(thing)
}
