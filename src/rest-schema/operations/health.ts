import { healthSchema, probeSchema, versionSchema } from '../health.ts'
import { defineOperation } from '../operation.ts'

const tag = 'health'

export const checkLiveSpec = defineOperation({
  id: 'checkLive',
  method: 'get',
  path: '/healthz',
  tag,
  summary: 'Whether the process should go on (200) or be restarted (503)',
  scope: null,
  answer: { kind: 'json', statuses: [200], schema: probeSchema },
})

export const checkReadySpec = defineOperation({
  id: 'checkReady',
  method: 'get',
  path: '/readyz',
  tag,
  summary: 'Whether it takes work (200) or not (503)',
  scope: null,
  answer: { kind: 'json', statuses: [200], schema: probeSchema },
})

export const getHealthSpec = defineOperation({
  id: 'getHealth',
  method: 'get',
  path: '/v1/health',
  tag,
  summary: 'Health from outcomes: claims, renewals, completions, the age of the oldest pending ticket',
  scope: 'read',
  answer: { kind: 'json', statuses: [200], schema: healthSchema },
})

export const getVersionSpec = defineOperation({
  id: 'getVersion',
  method: 'get',
  path: '/v1/version',
  tag,
  summary: 'Version of the coordinator',
  scope: 'read',
  answer: { kind: 'json', statuses: [200], schema: versionSchema },
})

export const getMetricsSpec = defineOperation({
  id: 'getMetrics',
  method: 'get',
  path: '/metrics',
  tag,
  summary: 'Figures in the text format of Prometheus',
  scope: 'read',
  answer: { kind: 'stream', statuses: [200], contentTypes: ['text/plain; version=0.0.4'] },
})
