import type { Comment } from '../domain/records.ts'
import type { Ticket } from '../domain/ticket.ts'
import type { CommentBody, TicketBody } from '../rest-schema/ticket.ts'
import { toFutureInstant, toInstant, toInstantOrNull } from './instant.ts'

/** The ticket as the API shows it. */
export function toTicketBody(ticket: Ticket): TicketBody {
  return {
    ...ticket,
    notBefore: toFutureInstant(ticket.notBefore),
    deadAt: toInstantOrNull(ticket.deadAt),
    createdAt: toInstant(ticket.createdAt),
    updatedAt: toInstant(ticket.updatedAt),
    finishedAt: toInstantOrNull(ticket.finishedAt),
  }
}

export function toCommentBody(comment: Comment): CommentBody {
  return { ...comment, createdAt: toInstant(comment.createdAt) }
}
