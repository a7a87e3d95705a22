import { readFile } from 'node:fs/promises'

/** Every block marked `sh` below one heading of a guide, as one script: what a reader would paste. */
export async function readGuideExamples(guide: string, heading: string): Promise<string> {
  const text = await readFile(new URL(`../../docs/guides/${guide}`, import.meta.url), 'utf8')
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1]).join('\n')
}
