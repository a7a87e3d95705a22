/** The page about backup and retention: its commands run as they stand. */
import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { makeTestDirectory, writeTestConfig } from '../support/test-swarm.ts'
import { makeDirectory, PROGRAM } from './cli-process.ts'

const run = promisify(execFile)

test('the commands of the page about backup and retention work as they stand', async () => {
  const home = await makeDirectory()
  const directory = await makeTestDirectory()
  const config = await writeTestConfig(directory, 'sandbox: { driver: fake, warm: 0 }\n')
  const bin = join(home, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'swarm'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`)
  await chmod(join(bin, 'swarm'), 0o755)
  const backups = join(home, 'backups')
  await mkdir(backups)
  const text = await readFile(
    new URL('../../docs/operations/backup-and-retention.md', import.meta.url),
    'utf8',
  )
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1])
  expect(blocks.length).toBe(3)
  const script = [
    'swarm up --detach',
    'swarm project create WEB',
    ...blocks,
    'swarm status',
    'swarm project list',
  ].join('\n')
  const elsewhere = join(home, 'elsewhere')
  const env = {
    PATH: `${bin}:${dirname(process.execPath)}:${process.env.PATH}`,
    HOME: home,
    SWARM_CONFIG: config,
    BACKUPS: backups,
    ELSEWHERE: elsewhere,
  }
  const shell = (words: string) =>
    run('bash', ['--norc', '-euo', 'pipefail', '-c', words], { cwd: home, env, timeout: 100_000 })
  try {
    const { stdout } = await shell(
      script.replaceAll(/swarm (gc|status|project list)/g, 'swarm --state-dir "$ELSEWHERE" $1'),
    )
    expect(stdout).toContain(`${join(backups, 'monday')}: `)
    expect(stdout).toContain(`${elsewhere} is as it was at `)
    expect(stdout).toContain('would be removed')
    expect(stdout).toMatch(/disk: +.* free, store /)
    expect(stdout).toContain('WEB')
  } finally {
    await shell('swarm down; swarm down --state-dir "$ELSEWHERE"')
  }
}, 120_000)
