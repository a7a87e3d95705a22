/**
 * Keeps a PostgreSQL server for as long as its standard input is open, so that it ends with whoever asked for it,
 * however that ends: `node postgres-keeper.ts <folder> <bin> <uid> <gid>`. Says `ready` when the server answers.
 * The folder is removed at the end. Commands, line by line: `immediate` stops the server like a crash, `start` starts
 * it again, `recovery` starts it and crashes it while it recovers; each is answered with its own name.
 */
import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { runProcess } from '../../src/platform/process.ts'

const [folder = '', bin = '', uid = '', gid = ''] = process.argv.slice(2)
const user = uid === '' ? {} : { uid: Number(uid), gid: Number(gid) }
const data = join(folder, 'data')

async function run(program: string, ...args: readonly string[]): Promise<void> {
  const { code, stderr, stdout } = await runProcess({
    argv: [join(bin, program), ...args],
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' },
    timeoutMs: 60_000,
    outputBytesMax: 64 * 1024,
    ...user,
  })
  if (code !== 0) throw new Error(`${program} failed: ${stdout}${stderr}`)
}

const SETTINGS = [
  // Only a power cut would need it, and a stopped server keeps what the system has in its memory.
  'fsync=off',
  'full_page_writes=off',
  'shared_buffers=32MB',
  'max_connections=300',
  'listen_addresses=',
  `unix_socket_directories=${folder}`,
]
const start = (wait: '-w' | '-W' = '-w') =>
  run(
    'pg_ctl',
    'start',
    wait,
    '-D',
    data,
    '-l',
    join(folder, 'log'),
    '-o',
    SETTINGS.map((s) => `-c ${s}`).join(' '),
  )
const stop = () => run('pg_ctl', 'stop', '-m', 'immediate', '-D', data)

/** Starts it after a crash and crashes it again while it recovers, or right after. */
async function crashInRecovery(): Promise<void> {
  await start('-W')
  const deadline = Date.now() + 10_000
  for (;;) {
    try {
      return await stop()
    } catch (error) {
      // It has not yet said that it runs.
      if (Date.now() > deadline) throw error
      await delay(2)
    }
  }
}

await mkdir(data, { recursive: true, mode: 0o700 })
for (const path of uid === '' ? [] : [folder, data]) await chown(path, Number(uid), Number(gid))
try {
  await run(
    'initdb',
    '-D',
    data,
    '-U',
    'swarm',
    '--auth=trust',
    '--no-sync',
    '--encoding=UTF8',
    '--locale=C.UTF-8',
  )
  // One user who needs a password; all others are let in.
  const hba = join(data, 'pg_hba.conf')
  await writeFile(hba, `local all locked scram-sha-256\n${await readFile(hba, 'utf8')}`)
  await start()
  process.stdout.write('ready\n')
  const commands: Record<string, () => Promise<void>> = {
    immediate: stop,
    start: () => start(),
    recovery: crashInRecovery,
  }
  for await (const line of createInterface({ input: process.stdin })) {
    await commands[line]?.()
    process.stdout.write(`${line}\n`)
  }
} finally {
  await stop().catch(() => {})
  await rm(folder, { recursive: true, force: true })
}
