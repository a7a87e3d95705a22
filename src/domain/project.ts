import type { ProjectId } from './id.ts'
import type { JsonObject } from './json.ts'

/** A body of work with its own ticket numbers: most often one repository. */
export type Project = {
  readonly id: ProjectId
  /** Upper-case word before the number in a ticket's key: `WEB` in `WEB-12` */
  readonly key: string
  readonly name: string
  /** Where the code lives: a path or URL without credentials; absent for tickets that need no repository */
  readonly repositoryUrl: string | null
  /** Name of the configured forge that pushes and opens pull requests: `local`, `git` … */
  readonly forge: string
  readonly defaultBranch: string
  /** Workflow for tickets that no rule routes; absent: such tickets are unroutable */
  readonly defaultWorkflow: string | null
  /** Settings that people may edit; parsed where they are used */
  readonly settings: JsonObject
  /** Number of the newest ticket */
  readonly ticketCount: number
  readonly createdAt: number
  readonly updatedAt: number
  /** Grows with each edit; the ETag of the API */
  readonly version: number
}

const PROJECT_KEY = /^[A-Z][A-Z0-9]{1,9}$/

/** Whether the text may be a project's key: 2 to 10 upper-case letters and digits, a letter first. */
export function isProjectKey(text: string): boolean {
  return PROJECT_KEY.test(text)
}
