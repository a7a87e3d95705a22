/** `code-change@1` as its parts; without a version the newest is meant. */
export function parseVersionedName(text: string): { name: string; query: { version?: string } } {
  const at = text.lastIndexOf('@')
  return at > 0
    ? { name: text.slice(0, at), query: { version: text.slice(at + 1) } }
    : { name: text, query: {} }
}
