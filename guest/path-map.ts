/** Where a driver cannot give paths their names, `/workspace` and friends are replaced at the start of a text. */
export function mapText(pathMap: Readonly<Record<string, string>>, text: string): string {
  for (const [prefix, replacement] of Object.entries(pathMap)) {
    if (text === prefix || text.startsWith(`${prefix}/`)) return replacement + text.slice(prefix.length)
  }
  return text
}

export const mapPath = mapText
