import { eventPageSchema, listEventsQuery } from '../event.ts'
import { defineOperation } from '../operation.ts'

export const listEventsSpec = defineOperation({
  id: 'listEvents',
  method: 'get',
  path: '/v1/events',
  tag: 'events',
  summary: 'Read events as a page, or as a stream that goes on',
  description:
    'With `Accept: text/event-stream` each event comes as it happens; `Last-Event-ID` replays what was missed, ' +
    'without a gap. A place behind which retention has removed events since is answered with 410 `events_pruned`.',
  scope: 'read',
  query: listEventsQuery,
  answer: { kind: 'json-or-events', statuses: [200], schema: eventPageSchema },
})
