import type { SwarmClient } from '../client/client.ts'
import { CliError } from './cli-error.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'

/**
 * What people write for a thing, turned into what the API takes. Keys are taken in any case, `12` is a number
 * within the project, and the beginning of an identifier is enough when it fits only one.
 */

const TICKET_KEY = /^([a-z][a-z0-9]{1,9})-([1-9][0-9]{0,8})$/i
/** `WEB#1`, `#1` or `1` */
const PULL_REQUEST_NUMBER = /^(?:([a-z][a-z0-9]{1,9})?#)?([1-9][0-9]{0,8})$/i
const ID_CHARS = 30
const PREFIX_CHARS_MIN = 4
/** Newest entries that a prefix is looked for in */
const SEARCHED_COUNT_MAX = 2000
const PAGE_COUNT = 200

/** Key or identifier of a ticket. */
export async function resolveTicket(context: CliContext, client: SwarmClient, text: string): Promise<string> {
  const word = text.trim()
  if (TICKET_KEY.test(word)) return word.toUpperCase()
  if (/^[1-9][0-9]{0,8}$/.test(word)) return `${await resolveProject(context, client, undefined)}-${word}`
  const id = await findByPrefix('ticket', 'tkt_', word, (cursor) =>
    client.tickets.list({ limit: PAGE_COUNT, ...cursor }, context),
  )
  return id.id
}

/** Identifier of a run; a ticket stands for its current or newest run. */
export async function resolveRun(context: CliContext, client: SwarmClient, text: string): Promise<string> {
  const word = text.trim()
  if (TICKET_KEY.test(word) || word.startsWith('tkt_') || /^[1-9][0-9]{0,8}$/.test(word)) {
    const ticket = await client.tickets.get(await resolveTicket(context, client, word), context)
    if (ticket.currentRunId !== null) return ticket.currentRunId
    const { items } = await client.runs.list({ ticket: ticket.key, limit: PAGE_COUNT }, context)
    const newest = items.toSorted((one, other) => other.number - one.number)[0]
    if (newest !== undefined) return newest.id
    const hint = `see why: swarm ticket explain ${ticket.key}`
    throw new CliError(EXIT.notFound, `${ticket.key} has no run yet`, { hint, code: 'run_absent' })
  }
  const run = await findByPrefix('run', 'run_', word, (cursor) =>
    client.runs.list({ limit: PAGE_COUNT, ...cursor }, context),
  )
  return run.id
}

/** Identifier of a pull request; a ticket stands for its own, `WEB#1` or a number for the one of the forge. */
export async function resolvePullRequest(
  context: CliContext,
  client: SwarmClient,
  text: string,
): Promise<string> {
  const word = text.trim()
  if (TICKET_KEY.test(word) || word.startsWith('tkt_')) {
    const ticket = await client.tickets.get(await resolveTicket(context, client, word), context)
    if (ticket.pullRequestId !== null) return ticket.pullRequestId
    const hint = `see how far it is: swarm ticket show ${ticket.key}`
    throw new CliError(EXIT.notFound, `${ticket.key} has no pull request`, {
      hint,
      code: 'pull_request_absent',
    })
  }
  const list = (cursor: { cursor?: string }) =>
    client.pullRequests.list({ limit: PAGE_COUNT, ...cursor }, context)
  const [, said, number] = PULL_REQUEST_NUMBER.exec(word) ?? []
  if (number === undefined) return (await findByPrefix('pull request', 'prq_', word, list)).id
  const project = await resolveProject(context, client, said)
  for await (const found of listPages((cursor) =>
    client.pullRequests.list({ project, limit: PAGE_COUNT, ...cursor }, context),
  )) {
    if (found.number === Number(number)) return found.id
  }
  throw absent('pull request', `${project}#${number}`)
}

/** Identifier of a token, also by its name. */
export async function resolveToken(context: CliContext, client: SwarmClient, text: string): Promise<string> {
  const { items } = await client.tokens.list(context)
  const named = items.filter(({ name, revokedAt }) => name === text && revokedAt === null)
  if (named.length === 1 && named[0] !== undefined) return named[0].id
  return (await findByPrefix('token', 'tok_', text, async () => ({ items, nextCursor: null }))).id
}

/** Key of the project: said, from `SWARM_PROJECT`, or the only one there is. */
export async function resolveProject(
  context: CliContext,
  client: SwarmClient,
  said: string | undefined,
): Promise<string> {
  const named = said ?? (context.environment.SWARM_PROJECT || undefined)
  if (named !== undefined) return /^prj_/.test(named) ? named : named.toUpperCase()
  const { items } = await client.projects.list(context)
  const [only, ...others] = items
  if (only !== undefined && others.length === 0) return only.key
  if (only === undefined) {
    const hint = 'swarm project create WEB --repository /path/or/url'
    throw new CliError(EXIT.notFound, 'there is no project yet', { hint, code: 'project_absent' })
  }
  const known = items.map(({ key }) => key).join(', ')
  throw new CliError(EXIT.usage, `say which project is meant: ${known}`, {
    hint: 'add --project, or set SWARM_PROJECT',
  })
}

type Page<T> = { readonly items: readonly T[]; readonly nextCursor: string | null }
type ListPage<T> = (query: { cursor?: string }) => Promise<Page<T>>

async function findByPrefix<T extends { readonly id: string }>(
  noun: string,
  idPrefix: string,
  word: string,
  list: ListPage<T>,
): Promise<T | { readonly id: string }> {
  const prefix = word.startsWith(idPrefix) ? word : `${idPrefix}${word}`
  if (!/^[a-z]{3}_[0-9a-z]*$/.test(prefix)) throw absent(noun, word)
  if (prefix.length === ID_CHARS) return { id: prefix }
  if (prefix.length < idPrefix.length + PREFIX_CHARS_MIN) {
    const message = `"${word}" names no ${noun}, and is too short for the beginning of an identifier`
    throw new CliError(EXIT.usage, message, { hint: listCommand(noun) })
  }
  const found: T[] = []
  for await (const entry of listPages(list)) if (entry.id.startsWith(prefix)) found.push(entry)
  const [first, second] = found
  if (first === undefined) throw absent(noun, word)
  if (second === undefined) return first
  const some = found.slice(0, 5).map(({ id }) => id)
  const hint = `write more of it: ${some.join(', ')}${found.length > some.length ? ', …' : ''}`
  throw new CliError(EXIT.notFound, `"${word}" fits ${found.length} ${noun}s`, { hint, code: 'ambiguous' })
}

async function* listPages<T>(list: ListPage<T>): AsyncIterable<T> {
  let cursor: string | null = null
  for (let count = 0; count < SEARCHED_COUNT_MAX; count += PAGE_COUNT) {
    const page: Page<T> = await list(cursor === null ? {} : { cursor })
    yield* page.items
    cursor = page.nextCursor
    if (cursor === null) return
  }
}

function absent(noun: string, word: string): CliError {
  return new CliError(EXIT.notFound, `there is no ${noun} "${word}"`, {
    hint: listCommand(noun),
    code: 'not_found',
  })
}

function listCommand(noun: string): string {
  return `swarm ${noun === 'pull request' ? 'pr' : noun} list`
}
