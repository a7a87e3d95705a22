/** The commands of docs/operations/postgresql.md, as a reader would paste them. */
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runProcess } from '../../src/platform/process.ts'
import { openPostgresStore } from '../../src/store/postgres/postgres-store.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { SWARM } from '../support/daemon-process.ts'
import { getPostgresServer, programsFolder } from '../support/postgres-server.ts'
import { createTestProject, createTestTicket } from '../support/store.ts'
import { toLocation } from '../support/store-postgres.ts'
import { describeWithPostgres } from '../support/with-postgres.ts'

describeWithPostgres('the guide to PostgreSQL', () => {
  test('its commands make a database, move a store there and back, dump it and restore it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'swarm-guide-'))
    const server = await getPostgresServer()
    const run = async (heading: string, toScript = (script: string) => script) => {
      const text = await readFile(new URL('../../docs/operations/postgresql.md', import.meta.url), 'utf8')
      const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
      const script = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1]).join('')
      expect(script).not.toBe('')
      const { code, stderr } = await runProcess({
        // The one path of the guide that a test may not write.
        argv: ['sh', '-eu', '-c', toScript(script).replaceAll('/var/lib/swarm', folder)],
        cwd: folder,
        env: {
          PATH: `${folder}:${programsFolder}:${process.env.PATH ?? ''}`,
          HOME: folder,
          PGHOST: server.host,
          PGUSER: 'swarm',
        },
        timeoutMs: 50_000,
        outputBytesMax: 64 * 1024,
      })
      expect([code, stderr.toString()]).toEqual([0, expect.any(String)])
    }
    try {
      const swarm = join(folder, 'swarm')
      await writeFile(swarm, `#!/bin/sh\nexec '${process.execPath}' '${SWARM}' "$@"\n`)
      await chmod(swarm, 0o755)
      const store = await openSqliteStore({
        path: join(folder, 'swarm.db'),
        clock: { now: () => Date.now() },
        randomBytes,
      })
      const ticket = await createTestTicket(store, await createTestProject(store), { title: 'Kept' })
      await store.close()
      // The user of the tests' server has the name of the guide's already.
      await run('Setting it up', (script) => script.replaceAll('swarm', 'bees'))
      const [made] = await server.run(
        'postgres',
        "select rolname, pg_encoding_to_char(encoding) as encoding from pg_database join pg_roles r on r.oid = datdba where datname = 'bees'",
      )
      expect(made).toEqual({ rolname: 'bees', encoding: 'UTF8' })
      await server.run('postgres', 'create database swarm encoding utf8 template template0')
      await run('Moving a store there, and back')
      await run('Backup')
      const restored = await openPostgresStore({
        location: toLocation(server.toUrl('swarm-restored')),
        randomBytes,
      })
      expect(await restored.read.findTicket({ ticketId: ticket.id })).toEqual(ticket)
      expect((await createTestTicket(restored, { id: ticket.projectId } as never)).number).toBe(2)
      await restored.close()
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
