import { dirname } from 'node:path'

export type Person = { readonly name: string; readonly email: string }

export type OpenArguments = {
  /** The bundle with the history of `commit` as its one head */
  readonly bundle: string
  /** Empty or absent directory */
  readonly workspace: string
  readonly commit: string
  readonly branch: string
  readonly author: Person
}

export type HarvestArguments = {
  readonly workspace: string
  /** Commit that the workspace was opened at; parent of what is made */
  readonly base: string
  /** Written when something changed: one head, `refs/swarm/work`, without the base's history */
  readonly bundle: string
  /** Written always: what was made, as JSON */
  readonly note: string
  /** The bundle that the workspace was opened from, for when its `.git` is gone */
  readonly baseBundle: string
  readonly message: string
  readonly trailers: Readonly<Record<string, string>>
  readonly author: Person
  /** New files that are collected; more are most often build results that nobody ignored */
  readonly newFileCountMax: number
}

const AUTHOR: Person = { name: 'Swarm', email: 'swarm@localhost' }
const NEW_FILE_COUNT_MAX = 100_000
const ATTEMPT = '/swarm/attempt'

/**
 * What stands before `/swarm/attempt/…` in the path of the arguments. Empty in a sandbox; where a driver cannot
 * give paths their names, the directory that plays the sandbox's root, and paths below it are meant.
 */
export function toRoot(argumentsPath: string): string {
  const directory = dirname(argumentsPath)
  return directory.endsWith(ATTEMPT) ? directory.slice(0, -ATTEMPT.length) : ''
}

export function parseOpenArguments(value: unknown, root: string): OpenArguments {
  const given = toRecord(value)
  return {
    bundle: toPath(given, 'bundle', root),
    workspace: toPath(given, 'workspace', root),
    commit: toCommit(given, 'commit'),
    branch: toBranch(given),
    author: toAuthor(given),
  }
}

export function parseHarvestArguments(value: unknown, root: string): HarvestArguments {
  const given = toRecord(value)
  const bundle = toPath(given, 'bundle', root)
  return {
    workspace: toPath(given, 'workspace', root),
    base: toCommit(given, 'base'),
    bundle,
    note: toPath(given, 'note', root),
    baseBundle:
      given.baseBundle === undefined ? `${dirname(bundle)}/repo.bundle` : toPath(given, 'baseBundle', root),
    message: toText(given, 'message'),
    trailers: toTrailers(given.trailers),
    author: toAuthor(given),
    newFileCountMax: typeof given.newFileCountMax === 'number' ? given.newFileCountMax : NEW_FILE_COUNT_MAX,
  }
}

function toRecord(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error('the arguments are not a JSON object')
  }
  return value as Readonly<Record<string, unknown>>
}

function toText(given: Readonly<Record<string, unknown>>, name: string): string {
  const text = given[name]
  if (typeof text !== 'string' || text === '') throw new Error(`the argument ${name} is not a text`)
  return text
}

function toPath(given: Readonly<Record<string, unknown>>, name: string, root: string): string {
  const path = toText(given, name)
  if (!path.startsWith('/') || path.includes('\0'))
    throw new Error(`the argument ${name} is no absolute path`)
  const isOurs = path.startsWith('/swarm/') || path === '/workspace' || path.startsWith('/workspace/')
  return isOurs ? `${root}${path}` : path
}

function toCommit(given: Readonly<Record<string, unknown>>, name: string): string {
  const commit = toText(given, name)
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit)) throw new Error(`the argument ${name} is no commit`)
  return commit
}

function toBranch(given: Readonly<Record<string, unknown>>): string {
  const branch = toText(given, 'branch')
  if (!/^[A-Za-z0-9][A-Za-z0-9/_.-]*$/.test(branch)) throw new Error('the argument branch is no branch name')
  return branch
}

function toAuthor(given: Readonly<Record<string, unknown>>): Person {
  if (given.author === undefined) return AUTHOR
  const author = toRecord(given.author)
  return { name: toLine(toText(author, 'name')), email: toLine(toText(author, 'email')) }
}

function toTrailers(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined) return {}
  const trailers: Record<string, string> = {}
  for (const [name, text] of Object.entries(toRecord(value))) {
    if (!/^[A-Za-z][A-Za-z-]*$/.test(name) || typeof text !== 'string') {
      throw new Error('a trailer is a name of letters and hyphens, and a text')
    }
    trailers[name] = toLine(text)
  }
  return trailers
}

/** One line that fits an author or a trailer. */
function toLine(text: string): string {
  return text
    .replace(/[\u0000-\u001f\u007f<>]+/g, ' ')
    .trim()
    .slice(0, 200)
}
