import type { Candidate } from './candidate.ts'
import { quote, toAgentVersion, toOurName, toWorkflowVersion } from './foreign-name.ts'

type Wanted = {
  readonly kind: 'agent' | 'workflow'
  /** As a step of theirs writes it */
  readonly name: string
  readonly version: string | undefined
}

type Places = {
  /** Rows of the same file */
  readonly rows: readonly { readonly candidate: Candidate; readonly isTaken: boolean }[]
  /** What is registered; `undefined`: nobody can be asked */
  readonly known: readonly { readonly name: string; readonly version: string }[] | undefined
  readonly renames: ReadonlyMap<string, string>
}

export type OurName =
  | { readonly ok: true; readonly name: string; readonly change?: string }
  | { readonly ok: false; readonly problem: string }

/**
 * Which agent or workflow of ours a step of theirs means. What is neither in the file nor registered is refused
 * here: a step that nobody can run would fail in the middle of somebody's ticket.
 */
export function findOurName({ kind, name, version }: Wanted, { rows, known, renames }: Places): OurName {
  if (/\{\{|\$\{/.test(name)) {
    return { ok: false, problem: `its ${kind} is a reference, ${quote(name)}: name one` }
  }
  const isOurs = (kind === 'workflow' ? /^[a-z][a-z0-9_-]{0,62}$/ : /^[a-z][a-z0-9-]{0,62}$/).test(name)
  const ours = renames.get(name) ?? (isOurs ? name : toOurName(name, kind))
  const exact = rows.filter(({ candidate }) => candidate.theirs.name === name)
  const meant = exact.length > 0 ? exact : rows.filter(({ candidate }) => candidate.name === ours)
  const ourName = meant[0]?.candidate.name ?? ours
  const wanted = version === undefined ? undefined : toVersion(kind, version)
  const shown = `${quote(name)}${version === undefined ? '' : ` ${quote(version)}`}`
  if (ourName === undefined || (version !== undefined && wanted === undefined)) {
    return { ok: false, problem: `there is no ${kind} ${shown}` }
  }
  const fits = (each: { readonly version: string | undefined }) =>
    wanted === undefined || each.version === wanted
  const isTaken = meant.some((row) => row.isTaken && fits(row.candidate))
  const isKnown = known === undefined || known.some((each) => each.name === ourName && fits(each))
  if (meant.length > 0 && !isTaken && meant.some(({ candidate }) => fits(candidate))) {
    return { ok: false, problem: `its ${kind} ${shown} was refused: see its own line` }
  }
  if (!isTaken && !isKnown) {
    return {
      ok: false,
      problem: `there is no ${kind} ${shown}, neither in the file nor registered: add it, or correct the name`,
    }
  }
  const full = wanted === undefined ? ourName : `${ourName}@${wanted}`
  const said = version === undefined ? name : `${name}@${version}`
  return {
    ok: true,
    name: full,
    ...(full !== said && { change: `its ${kind} ${quote(said)} is now ${full}` }),
  }
}

function toVersion(kind: Wanted['kind'], version: string): string | undefined {
  return kind === 'agent' ? toAgentVersion(version) : toWorkflowVersion(version)
}
