/**
 * Where the work of one attempt is kept in the mirror: `refs/swarm/<run>/<step>/<instance>/<attempt>`. Different
 * inputs give different refs: what a ref cannot hold is written as `=` and two hexadecimal digits per byte.
 */
export function toWorkRef(work: {
  readonly runId: string
  readonly step: string
  /** Number or key of the step instance; 0 for a step without `for-each` */
  readonly instance: number | string
  readonly attempt: number
}): string {
  return ['refs/swarm', work.runId, work.step, String(work.instance), String(work.attempt)]
    .map((part, index) => (index === 0 ? part : encodePart(part)))
    .join('/')
}

/** The prefix of all refs of a run, for Mirror.listRefs and Mirror.pruneRefs. */
export function toRunRefPrefix(runId: string): string {
  return `refs/swarm/${encodePart(runId)}/`
}

/** Whether a ref lies where work is kept. */
export function isWorkRef(ref: string): boolean {
  return ref.length <= 400 && /^refs\/swarm(?:\/[A-Za-z0-9_=-]+){1,8}$/.test(ref)
}

function encodePart(part: string): string {
  if (part === '') return '='
  return part.replace(/[^A-Za-z0-9_-]/gu, (character) =>
    [...new TextEncoder().encode(character)].map((byte) => `=${byte.toString(16).padStart(2, '0')}`).join(''),
  )
}
