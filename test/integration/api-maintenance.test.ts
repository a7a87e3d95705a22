/** What the API says of retention, backup and room, over the real store. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Api, createApi } from '../../src/api/api.ts'
import type { ApiMaintenance, DiskReport } from '../../src/api/maintenance/maintenance-port.ts'
import { BackupError } from '../../src/coordinator/backup/backup-error.ts'
import { healthSchema } from '../../src/rest-schema/health.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'

const GIB = 1024 ** 3
let server: ApiServer
beforeEach(async () => {
  server = await startApiServer()
})
afterEach(async () => await server[Symbol.asyncDispose]())

const seqs = async (ticket?: string) =>
  (await server.owner.events.list({ limit: 1000, ...(ticket === undefined ? {} : { ticket }) })).items.map(
    ({ seq }) => seq,
  )

test('a reader from before what was removed is told so; from 0 it gets what there is; one of a whole ticket goes on', async () => {
  const { owner, store } = server
  await owner.projects.create({ key: 'WEB', name: 'Web' })
  await owner.tickets.create({ project: 'WEB', title: 'ended' })
  await owner.tickets.create({ project: 'WEB', title: 'open' })
  await owner.tickets.cancel('WEB-1')
  const all = await seqs()
  const ended = await seqs('WEB-1')
  expect(await store.write.pruneEvents({ seqs: all })).toBe(all.length - (await seqs('WEB-2')).length)
  const prunedSeq = await store.read.findPrunedSeq()
  expect(prunedSeq).toBe(Math.max(...ended))

  await expect(owner.events.list({ after: 1 })).rejects.toMatchObject({
    status: 410,
    code: 'events_pruned',
    detail: expect.stringContaining(`up to ${prunedSeq}`),
    hint: expect.stringContaining(`go on after ${prunedSeq}`),
  })
  await expect(owner.events.list({ after: 1, ticket: 'WEB-1' })).rejects.toMatchObject({ status: 410 })
  expect((await owner.events.list({ after: 0 })).items.length).toBe(1)
  expect((await owner.events.list({ after: 1, ticket: 'WEB-2' })).items.length).toBe(1)
  expect((await owner.events.list({ after: prunedSeq })).items).toEqual([])

  const follow = async (after: number) => {
    for await (const event of owner.events.watch({ after })) return event.seq
    return undefined
  }
  await expect(follow(1)).rejects.toMatchObject({ status: 410, code: 'events_pruned' })
  expect(await follow(0)).toBe((await seqs('WEB-2'))[0])
  const next = follow(prunedSeq)
  await owner.tickets.create({ project: 'WEB', title: 'new' })
  expect(await next).toBeGreaterThan(prunedSeq)
})

const ROOMY: DiskReport = { totalBytes: 100 * GIB, freeBytes: 50 * GIB, measuredAt: null, bytesByKind: {} }

function withMaintenance(
  maintenance: Partial<ApiMaintenance>,
): (path: string, body?: object) => Promise<Response> {
  const refuse = async () => {
    throw new Error('not part of this test')
  }
  const api: Api = createApi({
    ...server.deps,
    maintenance: { collectGarbage: refuse, backUp: refuse, readDisk: async () => ROOMY, ...maintenance },
  })
  return (path, body) =>
    api.fetch(
      new Request(`http://localhost${path}`, {
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
        headers: { 'content-type': 'application/json' },
      }),
      { kind: 'unix' },
    )
}

test.each([
  [50 * GIB, 100 * GIB, true],
  [4.9 * GIB, 100 * GIB, false],
  [5.1 * GIB, 1000 * GIB, true],
  [0.2 * GIB, 1 * GIB, false],
])(
  'health says before writes fail that the disk is nearly full: %d of %d bytes',
  async (freeBytes, totalBytes, ok) => {
    const fetch = withMaintenance({
      readDisk: async () => ({ ...ROOMY, freeBytes, totalBytes, bytesByKind: { logs: 7 } }),
    })
    const health = healthSchema.parse(await (await fetch('/v1/health')).json())
    expect(health.checks).toContainEqual(expect.objectContaining({ name: 'disk-has-room', ok }))
    expect(health.status).toBe(ok ? 'ok' : 'degraded')
    expect(health.disk).toMatchObject({ freeBytes, measuredAt: null })
    expect(await (await fetch('/metrics')).text()).toContain('swarm_state_bytes{kind="logs"} 7')
  },
)

test('what is wrong with a backup is told; what is ours is not', async () => {
  const body = { path: '/backup/x' }
  const refusals = [
    [new BackupError('target_exists', 'it exists'), 409, 'it exists'],
    [new BackupError('target_refused', 'no folder'), 422, 'no folder'],
    [new Error('secret detail'), 500, 'the request could not be carried out'],
  ] as const
  for (const [error, status, detail] of refusals) {
    const fetch = withMaintenance({
      backUp: async () => {
        throw error
      },
    })
    const response = await fetch('/v1/backups', body)
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ detail })
  }
})

test('removing and copying is for administrators, and for servers that have a state directory', async () => {
  const reader = await server.connectAs('read', 'tickets')
  await expect(reader.maintenance.collectGarbage()).rejects.toMatchObject({ status: 403 })
  await expect(reader.maintenance.backUp({ path: '/x' })).rejects.toMatchObject({ status: 403 })
  await expect(server.owner.maintenance.collectGarbage()).rejects.toMatchObject({ status: 503 })
})
