import type { BodyInputOf } from '../rest-schema/operation.ts'
import {
  cancelTicketSpec,
  claimNextTicketSpec,
  claimTicketSpec,
  createCommentSpec,
  createTicketSpec,
  explainTicketSpec,
  getTicketSpec,
  listCommentsSpec,
  listDependenciesSpec,
  listTicketsSpec,
  retryTicketSpec,
  setDependenciesSpec,
  updateTicketSpec,
} from '../rest-schema/operations/tickets.ts'
import type { TicketBody } from '../rest-schema/ticket.ts'
import { type CallOptions, call, type Transport } from './call.ts'

export type TicketQuery = {
  readonly project?: string
  readonly status?: readonly string[]
  readonly label?: readonly string[]
  readonly type?: readonly string[]
  readonly text?: string
  readonly dead?: boolean
  readonly cursor?: string
  readonly limit?: number
}

/** A ticket is named by its key (`WEB-12`) or its identifier. */
export function createTicketCalls(transport: Transport) {
  return {
    create: (body: BodyInputOf<typeof createTicketSpec>, options: CallOptions = {}) =>
      call(transport, createTicketSpec, { ...options, body }),
    list: (query: TicketQuery = {}, options: CallOptions = {}) =>
      call(transport, listTicketsSpec, { ...options, query }),
    /** Every ticket that fits, page by page. */
    listAll: (query: Omit<TicketQuery, 'cursor'> = {}, options: CallOptions = {}) =>
      listAllTickets(transport, query, options),
    get: (key: string, options: CallOptions = {}) =>
      call(transport, getTicketSpec, { ...options, params: { key } }),
    /** @param version of the ticket as it was read; 412 when it has moved on */
    update: (
      key: string,
      version: number,
      body: BodyInputOf<typeof updateTicketSpec>,
      options: CallOptions = {},
    ) => call(transport, updateTicketSpec, { ...options, params: { key }, body, ifMatch: `"${version}"` }),
    cancel: (key: string, body: { detail?: string } = {}, options: CallOptions = {}) =>
      call(transport, cancelTicketSpec, { ...options, params: { key }, body }),
    retry: (key: string, options: CallOptions = {}) =>
      call(transport, retryTicketSpec, { ...options, params: { key } }),
    explain: (key: string, options: CallOptions = {}) =>
      call(transport, explainTicketSpec, { ...options, params: { key } }),
    comment: (key: string, body: { body: string }, options: CallOptions = {}) =>
      call(transport, createCommentSpec, { ...options, params: { key }, body }),
    listComments: (key: string, options: CallOptions = {}) =>
      call(transport, listCommentsSpec, { ...options, params: { key } }),
    listDependencies: (key: string, options: CallOptions = {}) =>
      call(transport, listDependenciesSpec, { ...options, params: { key } }),
    /** @param version of the ticket as it was read */
    setDependencies: (
      key: string,
      version: number,
      body: { dependsOn: string[] },
      options: CallOptions = {},
    ) => call(transport, setDependenciesSpec, { ...options, params: { key }, body, ifMatch: `"${version}"` }),
    /** For an outside agent: this ticket. 409 `not_claimable` when someone has it. */
    claim: (key: string, body: BodyInputOf<typeof claimTicketSpec>, options: CallOptions = {}) =>
      call(transport, claimTicketSpec, { ...options, params: { key }, body }),
    /** For an outside agent: the best pending ticket, `undefined` when there is none. */
    claimNext: (body: BodyInputOf<typeof claimNextTicketSpec>, options: CallOptions = {}) =>
      call(transport, claimNextTicketSpec, { ...options, body }),
  }
}

async function* listAllTickets(
  transport: Transport,
  query: Omit<TicketQuery, 'cursor'>,
  options: CallOptions,
): AsyncIterable<TicketBody> {
  let cursor: string | undefined
  do {
    const page = await call(transport, listTicketsSpec, { ...options, query: { ...query, cursor } })
    yield* page.items
    cursor = page.nextCursor ?? undefined
  } while (cursor !== undefined)
}
