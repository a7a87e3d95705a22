import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runProcess } from '../../src/platform/process.ts'
import { SWARM } from '../support/daemon-process.ts'
import { createDatabase, type PostgresDatabase } from '../support/store-postgres.ts'
import { makeTestDirectory, writeTestConfig } from '../support/test-swarm.ts'
import { describeWithPostgres } from '../support/with-postgres.ts'

describeWithPostgres('a store in PostgreSQL is looked at before the daemon starts', () => {
  let database: PostgresDatabase
  let directory: string

  beforeEach(async () => {
    database = await createDatabase('empty')
    directory = await makeTestDirectory()
  })
  afterEach(async () => {
    await database.drop()
    await rm(directory, { recursive: true, force: true })
  })

  async function swarm(store: string, ...args: readonly string[]): Promise<string> {
    await writeTestConfig(directory, `store: ${store}\nstore-password: { env: DB_PASSWORD }\n`)
    const { stdout, stderr } = await runProcess({
      argv: [process.execPath, SWARM, '--config', join(directory, 'config.yaml'), ...args],
      env: { PATH: process.env.PATH ?? '', HOME: directory, DB_PASSWORD: 'hunter2' },
      timeoutMs: 40_000,
      outputBytesMax: 256 * 1024,
    })
    return `${stdout}${stderr}`
  }
  const listSchemas = () =>
    database.server.run(database.name, "select nspname from pg_namespace where nspname = 'swarm'")

  test('doctor says what is there, and changes nothing', async () => {
    const said = await swarm(database.server.toUrl(database.name), 'doctor')
    expect(said).toMatch(
      /ok .* store: PostgreSQL database test_\d+ on .*: PostgreSQL \d+, the store will be made/,
    )
    expect(await listSchemas()).toEqual([])
    await database.server.run(database.name, 'create schema swarm; create table swarm.bees (id int)')
    const foreign = await swarm(database.server.toUrl(database.name), 'doctor')
    expect(foreign).toMatch(/FAIL .* store: .*has a schema "swarm" that is not Swarm's/)
  })

  test('doctor says when no server answers', async () => {
    const said = await swarm('postgresql:///x?host=/nonexistent', 'doctor')
    expect(said).toMatch(/FAIL .* store: PostgreSQL database x on \/nonexistent cannot be reached/)
  })

  test('the password is shown nowhere', async () => {
    const url = database.server.toUrl(database.name)
    for (const args of [
      ['config', 'explain'],
      ['config', 'explain', '--json'],
      ['doctor'],
      ['doctor', '--json'],
    ]) {
      const said = await swarm(url, ...args)
      expect(said).toContain(database.name)
      expect(said).not.toContain('hunter2')
    }
    expect(await swarm('postgres://swarm:hunter2@h/x', 'config', 'explain')).not.toContain('hunter2')
  })
})
