import { defineOperation } from '../operation.ts'
import { trackerListSchema } from '../tracker.ts'

export const listTrackersSpec = defineOperation({
  id: 'listTrackers',
  method: 'get',
  path: '/v1/trackers',
  tag: 'trackers',
  summary: 'List the configured trackers, how they are mirrored and what is wrong with them',
  scope: 'read',
  answer: { kind: 'json', statuses: [200], schema: trackerListSchema },
})
