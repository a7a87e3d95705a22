import type { SwarmEvent } from '../../domain/event.ts'
import type { EventBody } from '../../rest-schema/event.ts'
import { toInstant } from '../instant.ts'

/** The event as the API shows it. */
export function toEventBody(event: SwarmEvent): EventBody {
  return { ...event, at: toInstant(event.at) }
}
