/** The real PM2, installed into a folder of its own; never a dependency, only ever run as a program. */
import { type ExecFileException, execFile } from 'node:child_process'
import { access, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { signalProcess } from '../../src/platform/process.ts'
import { findProcessIdentity, isProcessAlive } from '../../src/platform/process-identity.ts'
import { waitFor } from './wait-for.ts'

const VERSION = '7.0.4'
/** Kept between runs of the tests, out of sight of git and of the package */
const PREFIX = fileURLToPath(new URL(`../../node_modules/.cache/pm2-${VERSION}`, import.meta.url))
export const PM2_PROGRAM = join(PREFIX, 'node_modules/pm2/bin/pm2')
const INSTALL_TIMEOUT_MS = 60_000
const COMMAND_TIMEOUT_MS = 40_000

export type Pm2App = {
  readonly pid: number
  /** `online`, `stopped`, `waiting restart` … */
  readonly status: string
  readonly restartCount: number
  readonly exitCode: number | undefined
}

export type Pm2 = AsyncDisposable & {
  /** Runs one command of PM2 to its end. @throws when it fails */
  run(...args: readonly string[]): Promise<string>
  findApp(name: string): Promise<Pm2App | undefined>
}

/** @returns why it cannot be had, such as a registry that does not answer */
export async function installPm2(): Promise<string | undefined> {
  if (await isThere(PREFIX)) return undefined
  const temporary = `${PREFIX}.${process.pid}`
  const failure = await new Promise<string | undefined>((resolve) =>
    execFile(
      'npm',
      ['install', '--prefix', temporary, '--no-audit', '--no-fund', '--ignore-scripts', `pm2@${VERSION}`],
      { timeout: INSTALL_TIMEOUT_MS },
      (error, _stdout, stderr) =>
        resolve(error === null ? undefined : stderr.trim().slice(-300) || error.message),
    ),
  )
  if (failure === undefined) await rename(temporary, PREFIX).catch(() => {})
  await rm(temporary, { recursive: true, force: true })
  return failure === undefined ? undefined : `pm2@${VERSION} cannot be installed: ${failure}`
}

/** A PM2 with a home of its own; disposing ends it with everything that it started. */
export function startPm2(home: string): Pm2 {
  const run = (...args: readonly string[]) =>
    new Promise<string>((resolve, reject) =>
      execFile(
        process.execPath,
        [PM2_PROGRAM, '--no-color', ...args],
        {
          env: { PATH: process.env.PATH, HOME: home, PM2_HOME: home, PM2_DISCRETE_MODE: 'true' },
          timeout: COMMAND_TIMEOUT_MS,
          maxBuffer: 4 * 1024 * 1024,
        },
        (error: ExecFileException | null, stdout, stderr) =>
          error === null ? resolve(stdout) : reject(new Error(`pm2 ${args.join(' ')}: ${stdout}${stderr}`)),
      ),
    )
  return {
    run,
    async findApp(name) {
      const text = await run('jlist')
      const apps = JSON.parse(text.slice(text.indexOf('[{') === -1 ? text.indexOf('[]') : text.indexOf('[{')))
      const app = apps.find((each: { name: string }) => each.name === name)
      if (app === undefined) return undefined
      const { status, restart_time: restartCount, exit_code: exitCode } = app.pm2_env
      return { pid: app.pid, status, restartCount, exitCode }
    },
    async [Symbol.asyncDispose]() {
      const pid = Number(await readFile(join(home, 'pm2.pid'), 'utf8').catch(() => '0'))
      const identity = pid > 1 ? await findProcessIdentity(pid) : undefined
      await run('kill').catch(() => {})
      if (identity === undefined) return
      await waitFor(
        'PM2 ended',
        async () => ((await isProcessAlive(identity)) ? undefined : true),
        5_000,
      ).catch(() => signalProcess(pid, 'SIGKILL'))
    },
  }
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
