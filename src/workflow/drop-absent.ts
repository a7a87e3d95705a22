/** The object without the entries that are `undefined`: an optional field is absent or has a value. */
export function dropAbsent<Parts extends object>(
  parts: Parts,
): { [Key in keyof Parts]?: Exclude<Parts[Key], undefined> } {
  const present = Object.entries(parts).filter(([, value]) => value !== undefined)
  return Object.fromEntries(present) as { [Key in keyof Parts]?: Exclude<Parts[Key], undefined> }
}
