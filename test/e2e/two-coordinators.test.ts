/** Two daemons, each with a state directory of its own, on one PostgreSQL. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type DaemonProcess, runSwarm, startDaemonProcess } from '../support/daemon-process.ts'
import { createDatabase, type PostgresDatabase } from '../support/store-postgres.ts'
import { createTestRepository, type TestRepository } from '../support/test-repository.ts'
import { makeTestDirectory, writeTestConfig } from '../support/test-swarm.ts'
import { waitFor, waitForTicket } from '../support/wait-for.ts'
import { describeWithPostgres } from '../support/with-postgres.ts'

const toWorkflow = (name: string, doneWhen: string, program: string, more: string) => `name: ${name}
version: 1
done-when: ${doneWhen}
steps:
  - id: work
    kind: agent
    agent: script
    with:
      command: [node, -e, ${JSON.stringify(program)}]
${more}`
const WRITE = "require('node:fs').appendFileSync('/workspace/ran.txt', 'once\\n')"
const PROPOSED = toWorkflow(
  'proposed',
  'opened',
  `${WRITE}; setTimeout(() => {}, 300)`,
  '  - { id: propose, kind: pull-request, needs: [work] }\n',
)
const SLOW = toWorkflow('slow', 'finished', `${WRITE}; setTimeout(() => {}, 2000)`, '')

const SETTINGS =
  'slots: 2\nlog: { level: info }\nlease: { ttl: 4s, deadman: 3s }\npoll: { interval: 500ms }\n'

describeWithPostgres('two coordinators on one PostgreSQL', () => {
  let database: PostgresDatabase
  let repository: TestRepository
  let directories: string[]
  let daemons: DaemonProcess[]

  beforeEach(async () => {
    database = await createDatabase('empty')
    directories = [await makeTestDirectory(), await makeTestDirectory()]
    repository = await createTestRepository(directories[0] ?? '', { 'README.md': '# Two\n' })
    // Both at once: one of them makes the tables, the other waits for it.
    daemons = await Promise.all([up(0, 'one'), up(1, 'two')])
    const { client } = daemons[0] as DaemonProcess
    await client.projects.create({ key: 'TWO', name: 'Two', repositoryUrl: repository.path, forge: 'local' })
    for (const text of [PROPOSED, SLOW]) await client.workflows.register({ text })
  })
  afterEach(async () => {
    await Promise.all(daemons.map((daemon) => daemon.kill()))
    for (const directory of directories) await rm(directory, { recursive: true, force: true })
    await database.drop()
  })

  async function up(index: number, host: string): Promise<DaemonProcess> {
    const directory = directories[index] ?? ''
    await writeTestConfig(directory, SETTINGS)
    const environment = { SWARM_STORE: database.server.toUrl(database.name), SWARM_HOST: host }
    return await startDaemonProcess(directory, environment)
  }

  const create = async (daemon: DaemonProcess, title: string, workflow: string) =>
    (await daemon.client.tickets.create({ project: 'TWO', title, workflow })).key
  const listClaims = async () =>
    await database.server.run(
      database.name,
      "select ticket_id, split_part(data::json->>'holder', ':', 1) as host from events where type = 'run.claimed'",
    )

  test('P4: they share the tickets: each is done once, and both had some', async () => {
    const [one, two] = daemons as [DaemonProcess, DaemonProcess]
    const keys = await Promise.all(
      Array.from({ length: 10 }, (_, index) => create(index % 2 ? one : two, `ticket ${index}`, 'proposed')),
    )
    for (const key of keys) {
      const ticket = await waitForTicket(one.client, key, 'done')
      const run = await two.client.runs.get(ticket.currentRunId ?? '')
      expect([run.number, run.steps.map(({ attempts }) => attempts.length)]).toEqual([1, [1, 0]])
    }
    const claims = await listClaims()
    expect(new Set(claims.map(({ ticket_id }) => ticket_id)).size).toBe(10)
    expect(new Set(claims.map(({ host }) => host))).toEqual(new Set(['one', 'two']))
    const opened = await database.server.run(database.name, 'select branch from pull_requests')
    expect(new Set(opened.map(({ branch }) => branch)).size).toBe(10)
    expect(opened).toHaveLength(10)
    const sandboxes = await database.server.run(
      database.name,
      "select h.name, count(*) from sandboxes s join hosts h on h.id = s.host_id where s.status = 'gone' group by 1 order by 1",
    )
    expect(sandboxes.map(({ name }) => name)).toEqual(['one', 'two'])
  })

  test("P4: what is told by one daemon's stream is also what happened at the other", async () => {
    const [one, two] = daemons as [DaemonProcess, DaemonProcess]
    const stop = new AbortController()
    const seqs: number[] = []
    const watching = (async () => {
      for await (const { seq } of one.client.events.watch({ after: 0, signal: stop.signal })) seqs.push(seq)
    })()
    const key = await create(two, 'watched', 'proposed')
    await waitForTicket(two.client, key, 'done')
    const written = await waitFor('the stream has all', async () => {
      const all = (await two.client.events.list({ after: 0, limit: 200 })).items.map(({ seq }) => seq)
      return all.length <= seqs.length ? all : undefined
    })
    stop.abort()
    await watching.catch(() => undefined)
    expect(seqs.slice(0, written.length)).toEqual(written)
  })

  test('U2: kill -9 of one: the other does its tickets too, after the lease', async () => {
    const [one, two] = daemons as [DaemonProcess, DaemonProcess]
    const keys = await Promise.all(
      Array.from({ length: 4 }, (_, index) => create(one, `slow ${index}`, 'slow')),
    )
    await waitFor('both work', async () => {
      const hosts = new Set((await listClaims()).map(({ host }) => host))
      return hosts.size === 2 ? hosts : undefined
    })
    await one.kill()
    for (const key of keys) await waitForTicket(two.client, key, 'done')
    const overlaps = await database.server.run(
      database.name,
      `select a.id from sandboxes a join sandboxes b on a.step_instance_id = b.step_instance_id and a.id < b.id
       where a.ended_at is null or b.created_at < a.ended_at`,
    )
    expect(overlaps).toEqual([])
  })

  test('a second coordinator of the same host name is refused, and one that was killed starts again at once', async () => {
    const [one] = daemons as [DaemonProcess, DaemonProcess]
    const directory = await makeTestDirectory()
    directories.push(directory)
    await writeTestConfig(directory, `${SETTINGS}store: ${database.server.toUrl(database.name)}\nhost: one\n`)
    const refused = await runSwarm(['--config', join(directory, 'config.yaml'), 'up'])
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toContain(`process ${one.pid} of this machine is the coordinator of host one`)
    await one.kill()
    daemons.push(await up(0, 'one'))
  })
})
