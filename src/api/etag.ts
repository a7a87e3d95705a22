import { ApiProblem } from './problem.ts'

/** The version as an entity tag: `"12"`. */
export function toETag(version: number): string {
  return `"${version}"`
}

/**
 * The version that a change expects; `undefined` for `*`: whatever there is.
 * @throws ApiProblem 428 without the header, 412 for a tag that can never match
 */
export function readIfMatch(header: string | undefined): number | undefined {
  if (header === undefined) {
    throw new ApiProblem(428, 'if_match_required', 'a change needs the header If-Match', {
      hint: 'send the ETag that the last answer carried, or * to overwrite whatever there is',
    })
  }
  if (header.trim() === '*') return undefined
  const version = /^"(\d{1,15})"$/.exec(header.trim())?.[1]
  if (version !== undefined) return Number(version)
  throw new ApiProblem(412, 'version_conflict', 'If-Match is no tag that this API gave out', {
    hint: 'get it again and repeat the change with its ETag',
  })
}
