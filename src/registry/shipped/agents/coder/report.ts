/** Tells Swarm what happens: lines of standard output with a mark. */
export type Report =
  | { type: 'milestone'; text: string }
  | { type: 'turn'; turn: number; text: string }
  | { type: 'tool'; tool: string; text: string }
  | { type: 'usage'; model: string; inputTokens: number; outputTokens: number }
  | { type: 'failure'; reason: string; detail: string; retryAfterMs?: number }

const TEXT_CHARS_MAX = 500

export function report(message: Report): void {
  const line = JSON.stringify(message, (_key, value) =>
    typeof value === 'string' ? value.slice(0, TEXT_CHARS_MAX) : value,
  )
  process.stdout.write(`::swarm::${line}\n`)
}

/** For people who read the log. */
export function say(text: string): void {
  // Text of a model must not pass for a report of ours.
  process.stdout.write(`${text.replaceAll('::swarm::', ':: swarm ::')}\n`)
}
