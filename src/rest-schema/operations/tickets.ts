import * as z from 'zod'
import { defineOperation } from '../operation.ts'
import { claimNextTicketBody, claimSchema, claimTicketBody } from '../run.ts'
import {
  cancelBody,
  commentListSchema,
  commentSchema,
  createCommentBody,
  createTicketBody,
  dependenciesSchema,
  listTicketsQuery,
  routeExplanationSchema,
  setDependenciesBody,
  ticketPageSchema,
  ticketRefSchema,
  ticketSchema,
  updateTicketBody,
} from '../ticket.ts'

const tag = 'tickets'
const params = z.strictObject({ key: ticketRefSchema })

export const createTicketSpec = defineOperation({
  id: 'createTicket',
  method: 'post',
  path: '/v1/tickets',
  tag,
  summary: 'Create a ticket',
  scope: 'tickets',
  isIdempotent: true,
  hasETag: true,
  body: createTicketBody,
  answer: { kind: 'json', statuses: [201], schema: ticketSchema },
})

export const listTicketsSpec = defineOperation({
  id: 'listTickets',
  method: 'get',
  path: '/v1/tickets',
  tag,
  summary: 'List tickets',
  scope: 'read',
  query: listTicketsQuery,
  answer: { kind: 'json', statuses: [200], schema: ticketPageSchema },
})

export const getTicketSpec = defineOperation({
  id: 'getTicket',
  method: 'get',
  path: '/v1/tickets/{key}',
  tag,
  summary: 'Show a ticket',
  scope: 'read',
  hasETag: true,
  params,
  answer: { kind: 'json', statuses: [200], schema: ticketSchema },
})

export const updateTicketSpec = defineOperation({
  id: 'updateTicket',
  method: 'patch',
  path: '/v1/tickets/{key}',
  tag,
  summary: 'Change a ticket',
  scope: 'tickets',
  hasETag: true,
  needsIfMatch: true,
  params,
  body: updateTicketBody,
  answer: { kind: 'json', statuses: [200], schema: ticketSchema },
})

export const cancelTicketSpec = defineOperation({
  id: 'cancelTicket',
  method: 'post',
  path: '/v1/tickets/{key}/cancel',
  tag,
  summary: 'Cancel a ticket and its run',
  description: 'A ticket that is over already is left as it is and given back.',
  scope: 'tickets',
  isIdempotent: true,
  hasETag: true,
  params,
  body: cancelBody,
  answer: { kind: 'json', statuses: [200], schema: ticketSchema },
})

export const retryTicketSpec = defineOperation({
  id: 'retryTicket',
  method: 'post',
  path: '/v1/tickets/{key}/retry',
  tag,
  summary: 'Put a failed or canceled ticket back into the queue',
  scope: 'tickets',
  isIdempotent: true,
  hasETag: true,
  params,
  answer: { kind: 'json', statuses: [200], schema: ticketSchema },
})

export const explainTicketSpec = defineOperation({
  id: 'explainTicket',
  method: 'get',
  path: '/v1/tickets/{key}/explain',
  tag,
  summary: 'Say which workflow the ticket goes to, and why',
  scope: 'read',
  params,
  answer: { kind: 'json', statuses: [200], schema: routeExplanationSchema },
})

export const createCommentSpec = defineOperation({
  id: 'createComment',
  method: 'post',
  path: '/v1/tickets/{key}/comments',
  tag,
  summary: 'Comment on a ticket',
  scope: 'tickets',
  isIdempotent: true,
  params,
  body: createCommentBody,
  answer: { kind: 'json', statuses: [201], schema: commentSchema },
})

export const listCommentsSpec = defineOperation({
  id: 'listComments',
  method: 'get',
  path: '/v1/tickets/{key}/comments',
  tag,
  summary: 'List the comments on a ticket',
  scope: 'read',
  params,
  answer: { kind: 'json', statuses: [200], schema: commentListSchema },
})

export const listDependenciesSpec = defineOperation({
  id: 'listDependencies',
  method: 'get',
  path: '/v1/tickets/{key}/dependencies',
  tag,
  summary: 'List what a ticket waits for, and what waits for it',
  scope: 'read',
  params,
  answer: { kind: 'json', statuses: [200], schema: dependenciesSchema },
})

export const setDependenciesSpec = defineOperation({
  id: 'setDependencies',
  method: 'put',
  path: '/v1/tickets/{key}/dependencies',
  tag,
  summary: 'Replace what a ticket waits for',
  scope: 'tickets',
  hasETag: true,
  needsIfMatch: true,
  params,
  body: setDependenciesBody,
  answer: { kind: 'json', statuses: [200], schema: ticketSchema },
})

export const claimNextTicketSpec = defineOperation({
  id: 'claimNextTicket',
  method: 'post',
  path: '/v1/tickets/claim',
  tag: 'outside agents',
  summary: 'Claim the best pending ticket',
  description: 'Without a body (204) when nothing is to be done.',
  scope: 'claim',
  isIdempotent: true,
  body: claimNextTicketBody,
  answer: { kind: 'json', statuses: [200, 204], schema: claimSchema },
})

export const claimTicketSpec = defineOperation({
  id: 'claimTicket',
  method: 'post',
  path: '/v1/tickets/{key}/claim',
  tag: 'outside agents',
  summary: 'Claim this ticket',
  scope: 'claim',
  isIdempotent: true,
  params,
  body: claimTicketBody,
  answer: { kind: 'json', statuses: [200], schema: claimSchema },
})
