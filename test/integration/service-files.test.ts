import { spawnSync } from 'node:child_process'
import {
  appendFile,
  chmod,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { DRAIN_TIMEOUT_MS } from '../../src/cli/local/drain-timeout.ts'
import { toPm2File } from '../../src/cli/local/service/pm2-file.ts'
import { type ServicePlan, STOP_WAIT_MS } from '../../src/cli/local/service/service-plan.ts'
import { toSystemdUnit, toSysusers } from '../../src/cli/local/service/systemd-unit.ts'
import { COORDINATOR_GROUP, findCgroupSupport } from '../../src/platform/cgroup.ts'
import { makeDirectory, runCli } from './cli-process.ts'

const WEIRD = `we ird %n %% "q" 'x' $HOME \${HOME} back\\slash; # end`
const systemdVersion = Number(
  /^systemd (\d+)/.exec(
    spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' }).stdout ?? '',
  )?.[1] ?? 0,
)
const NO_SYSTEMD = 'systemd-analyze is absent: apt-get install systemd'

function toPlan(more: Partial<ServicePlan> = {}): ServicePlan {
  return {
    manager: 'systemd',
    user: 'swarm',
    nodePath: process.execPath,
    programPath: '/usr/lib/swarm/bin/swarm.cjs',
    configPath: '/etc/swarm/config.yaml',
    stateDir: '/var/lib/swarm',
    environmentFile: '/etc/swarm/swarm.env',
    writable: [],
    watchdogMs: 60_000,
    stopTimeoutMs: DRAIN_TIMEOUT_MS + 30_000,
    startTimeoutMs: 120_000,
    systemdVersion: 252,
    ...more,
  }
}

/** What systemd itself says of the unit; nothing when there is nothing to say. */
async function verify(unit: string): Promise<{ status: number | null; said: string }> {
  const path = join(await makeDirectory(), 'swarm.service')
  await writeFile(path, unit)
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['--man=no', 'verify', path], {
    encoding: 'utf8',
  })
  return { status, said: `${stdout}${stderr}` }
}

/** A configuration and a folder for the files, with the command that writes them there. */
async function prepare(settings = '') {
  const home = await makeDirectory()
  const config = join(home, 'config.yaml')
  const output = join(home, 'units')
  await writeFile(
    config,
    `state-dir: ${home}/state\nlisten: { port: null }\nsandbox: { driver: fake }\n${settings}`,
  )
  const env = { HOME: home, SWARM_CONFIG: config }
  const service = (verb: string, ...args: string[]) =>
    runCli(['service', verb, '--output', output, ...args], { env })
  return { home, config, output, env, service, unit: join(output, 'swarm.service') }
}

test.for<[string, Partial<ServicePlan>]>([
  ['the usual places', {}],
  [
    'places with spaces, quotes, specifiers and variables',
    {
      configPath: `/etc/${WEIRD}/c.yaml`,
      stateDir: `/srv/${WEIRD}`,
      writable: [`/srv/${WEIRD}/git`],
      environmentFile: `/etc/${WEIRD}/swarm.env`,
    },
  ],
  ['a state directory with such a name below /var/lib', { stateDir: `/var/lib/${WEIRD}` }],
])('systemd knows every directive of the unit and has nothing to say: %s', async ([, more], { skip }) => {
  if (systemdVersion === 0) skip(NO_SYSTEMD)
  expect(await verify(toSystemdUnit(toPlan(more)))).toEqual({ status: 0, said: '' })
})

test('systemd would say what it does not know, and finds the program whatever its name is', async ({
  skip,
}) => {
  if (systemdVersion === 0) skip(NO_SYSTEMD)
  const unit = toSystemdUnit(toPlan())
  expect((await verify(unit.replace('\nKillMode=', '\nKillMood='))).said).toContain("'KillMood'")
  const nodePath = join(await makeDirectory(), 'we ird %n %% $HOME; # end')
  expect((await verify(toSystemdUnit(toPlan({ nodePath })))).said).toContain('not executable')
  await symlink(process.execPath, nodePath)
  expect(await verify(toSystemdUnit(toPlan({ nodePath })))).toEqual({ status: 0, said: '' })
})

test('from systemd 254 on the daemon gets a group of its own below the one that is handed over', async ({
  skip,
}) => {
  if (systemdVersion === 0) skip(NO_SYSTEMD)
  const unit = toSystemdUnit(toPlan({ systemdVersion: 254 }))
  expect(unit).toContain(`\nDelegate=memory pids cpu\nDelegateSubgroup=${COORDINATOR_GROUP}\n`)
  const { said } = await verify(unit)
  const expected = systemdVersion >= 254 ? /^$/ : /^[^\n]*'DelegateSubgroup'[^\n]*\n$/
  expect(said).toMatch(expected)
  expect(toSystemdUnit(toPlan({ systemdVersion: 252 }))).not.toContain('\nDelegateSubgroup=')
})

test('groups with limits are made beside the group of the daemon, not in it and not at the root', async () => {
  const directory = await makeDirectory()
  const service = join(directory, 'system.slice/swarm.service')
  await mkdir(join(service, COORDINATOR_GROUP), { recursive: true })
  await writeFile(join(service, 'cgroup.controllers'), 'cpu memory pids\n')
  await writeFile(join(directory, 'cgroup.controllers'), 'cpu memory pids\n')
  await writeFile(join(directory, 'own'), `0::/system.slice/swarm.service/${COORDINATOR_GROUP}\n`)
  expect(await findCgroupSupport('swarm-test', directory, join(directory, 'own'))).toEqual({
    version: 2,
    directory: join(service, 'swarm-test'),
  })
})

test('systemd-sysusers makes the user of the service: a system user without a shell', async ({ skip }) => {
  if (spawnSync('systemd-sysusers', ['--version']).status !== 0)
    skip('systemd-sysusers is absent: apt-get install systemd')
  const root = await makeDirectory()
  await mkdir(join(root, 'etc'))
  const path = join(root, 'swarm.conf')
  const make = async (stateDir: string) => {
    await writeFile(path, toSysusers(toPlan({ stateDir })))
    const { status, stderr } = spawnSync('systemd-sysusers', [`--root=${root}`, path], { encoding: 'utf8' })
    expect({ status, stderr: stderr.replace(/^Creating .*\n/gm, '') }).toEqual({ status: 0, stderr: '' })
    return await readFile(join(root, 'etc/passwd'), 'utf8')
  }
  expect(await make('/var/lib/sw arm %n')).toMatch(
    /^swarm:!?\*?x?:\d+:\d+:Swarm coordinator:\/var\/lib\/sw arm %n:\/usr\/sbin\/nologin$/m,
  )
  expect(await make('/var/lib/other')).toContain('/sw arm %n')
})

test('both managers wait longer for the end than a drain may take', () => {
  const plan = toPlan()
  const stopSec = Number(/^TimeoutStopSec=(\d+)s$/m.exec(toSystemdUnit(plan))?.[1])
  expect(stopSec * 1000).toBeGreaterThan(DRAIN_TIMEOUT_MS)
  const killMs = Number(/"kill_timeout": (\d+)/.exec(toPm2File(plan))?.[1])
  expect(killMs).toBeGreaterThan(DRAIN_TIMEOUT_MS)
  // `uninstall` waits for systemd.
  expect(STOP_WAIT_MS).toBeGreaterThan(stopSec * 1000)
})

test('the file for PM2 can be required, also from a folder of ES modules, and has no secret and no watch', async () => {
  const directory = await makeDirectory()
  const path = join(directory, 'ecosystem.config.cjs')
  await writeFile(join(directory, 'package.json'), '{"type":"module"}')
  await writeFile(path, toPm2File(toPlan({ manager: 'pm2', stateDir: `/srv/${WEIRD}` })))
  const { apps } = createRequire(import.meta.url)(path)
  expect(apps).toHaveLength(1)
  expect(apps[0]).toMatchObject({
    exec_mode: 'fork',
    instances: 1,
    treekill: false,
    wait_ready: true,
    watch: false,
    stop_exit_codes: [EXIT.usage, EXIT.conflict, EXIT.badNode],
    args: ['up', '--config', '/etc/swarm/config.yaml', '--state-dir', `/srv/${WEIRD}`],
  })
})

test('install may be repeated, refuses to replace what it did not write, and does with --force', async () => {
  const { service, output, unit, home } = await prepare()
  const first = await service('install', '--json')
  expect(first).toMatchObject({ code: EXIT.ok })
  const { files, nextSteps } = JSON.parse(first.stdout)
  expect(files).toEqual([
    { path: unit, change: 'wrote' },
    { path: join(output, 'swarm.conf'), change: 'wrote' },
  ])
  expect(nextSteps).toContain(`systemctl enable --now ${unit}`)
  expect(nextSteps).toContain(`install -d -o swarm -g swarm -m 700 ${home}/state`)
  const text = await readFile(unit, 'utf8')
  expect(text).toContain(`"--state-dir" "${home}/state"`)
  expect((await service('install')).stdout).toBe(`kept ${unit}\nkept ${join(output, 'swarm.conf')}\n`)

  await appendFile(unit, '# mine\n')
  const changed = await service('install')
  expect(changed).toMatchObject({ code: EXIT.conflict, stdout: '' })
  expect(changed.stderr).toContain('it was changed since swarm wrote it')
  await writeFile(unit, '[Service]\nExecStart=/bin/true\n')
  const foreign = await service('install', '--json')
  expect(foreign).toMatchObject({ code: EXIT.conflict, stdout: '' })
  expect(JSON.parse(foreign.stderr).error).toMatchObject({
    code: 'file_not_ours',
    hint: expect.stringContaining('--force'),
  })
  expect(await readFile(unit, 'utf8')).toBe('[Service]\nExecStart=/bin/true\n')
  expect((await service('install', '--force')).stdout).toContain(`replaced ${unit}\n`)
  expect(await readFile(unit, 'utf8')).toBe(text)
  // Whole files only: nothing half written stays behind.
  expect((await readdir(output)).sort()).toEqual(['swarm.conf', 'swarm.service'])
})

test('installed again, as after an update, a service keeps what was chosen for it', async () => {
  const { service, unit, home } = await prepare()
  await service('install', '--user', 'builder', '--writable', '/srv/git', '--state-dir', join(home, 'other'))
  const text = await readFile(unit, 'utf8')
  expect((await service('install')).stdout).toContain(`kept ${unit}\n`)
  expect(await readFile(unit, 'utf8')).toBe(text)
  await service('install', '--writable', '/srv/code')
  const changed = await readFile(unit, 'utf8')
  expect(changed).toContain('ReadWritePaths="-/srv/code"')
  expect(changed).not.toContain('/srv/git')
  expect(changed).toContain('User=builder')
})

test('the service may write where the files of its trackers lie', async () => {
  const tracker = (file: string) =>
    `{ kind: sqlite-table, file: ${file}, project: WEB, workflow: echo-chain }`
  const { service, unit } = await prepare(
    `trackers:\n  a: ${tracker('/srv/platform/a.db')}\n  b: ${tracker('/srv/platform/b.db')}\n  c: ${tracker('/c.db')}\n`,
  )
  await service('install', '--writable', '/srv/git')
  const paths = (await readFile(unit, 'utf8')).match(/^ReadWritePaths="-.*$/gm)
  expect(paths).toEqual(['ReadWritePaths="-/srv/git"', 'ReadWritePaths="-/srv/platform"'])
  expect((await service('install')).stdout).toContain(`kept ${unit}\n`)
})

test('a masked unit is not replaced', async () => {
  const { service, unit, output } = await prepare()
  await mkdir(output)
  await symlink('/dev/null', unit)
  expect(await service('install')).toMatchObject({ code: EXIT.conflict })
  expect(await service('uninstall')).toMatchObject({ code: EXIT.conflict })
  expect(await readdir(output)).toEqual(['swarm.service'])
})

test('what lies in the place of a file and is none is refused at once: a pipe, a directory', async () => {
  const { service, unit, output } = await prepare()
  await mkdir(output)
  spawnSync('mkfifo', [unit])
  expect(await service('install')).toMatchObject({ code: EXIT.conflict })
  expect(await service('uninstall')).toMatchObject({ code: EXIT.conflict })
  await rm(unit)
  await mkdir(unit)
  for (const verb of ['install', 'uninstall']) {
    expect(await service(verb)).toMatchObject({ code: EXIT.conflict })
    const forced = await service(verb, '--force')
    expect(forced).toMatchObject({ code: EXIT.failed })
    expect(forced.stderr).toMatch(/^error: cannot (write|remove) .*: illegal operation on a directory\n$/)
  }
  expect(await readdir(output)).toEqual(['swarm.service'])
})

test('uninstall removes what it wrote, keeps what was changed, never the state, and may be repeated', async () => {
  const { service, home, output, unit } = await prepare()
  await mkdir(join(home, 'state'), { mode: 0o700 })
  await writeFile(join(home, 'state/swarm.db'), 'kept')
  await service('install')
  await copyFile(unit, join(home, 'copy'))
  await appendFile(unit, 'Nice=5\n')
  const kept = await service('uninstall')
  expect(kept).toMatchObject({ code: EXIT.conflict })
  expect(kept.stdout).toBe(`kept ${unit}: changed since\nremoved ${join(output, 'swarm.conf')}\n`)
  expect(kept.stderr).toContain('--force')
  await copyFile(join(home, 'copy'), unit)
  expect(await service('uninstall', '--json')).toMatchObject({ code: EXIT.ok })
  expect(await readdir(output)).toEqual([])
  expect((await service('uninstall')).stdout).toContain('is not there')
  expect(await service('uninstall')).toMatchObject({ code: EXIT.ok })
  await writeFile(unit, 'somebody else\n')
  expect((await service('uninstall', '--force')).stdout).toContain(`removed ${unit}`)
  expect(await readFile(join(home, 'state/swarm.db'), 'utf8')).toBe('kept')
})

test('status says by its exit code whether the service is as it should be', async () => {
  const { service, config, unit, env } = await prepare()
  expect(await service('status')).toMatchObject({ code: EXIT.notFound, stdout: '' })
  await service('install')
  const without = await service('status', '--json')
  expect(without).toMatchObject({ code: EXIT.failed })
  expect(JSON.parse(without.stdout)).toMatchObject({
    manager: 'systemd',
    files: [{ path: unit, state: 'current' }, { state: 'current' }],
    daemon: null,
    health: null,
    problems: ['no daemon runs: systemctl start swarm.service'],
  })
  expect(await runCli(['up', '--detach'], { env })).toMatchObject({ code: EXIT.ok })
  onTestFinished(async () => void (await runCli(['down', '--now'], { env })))
  const byHand = JSON.parse((await service('status', '--json')).stdout)
  expect(byHand).toMatchObject({ daemon: { manager: null }, health: 'ok' })
  expect(byHand.problems).toEqual([expect.stringContaining('was not started by systemd')])
  await appendFile(config, 'poll: { interval: 10s }\n')
  expect(JSON.parse((await service('status', '--json')).stdout).files[0].state).toBe('outdated')
  await service('install')
  expect(await readFile(unit, 'utf8')).toContain('\nWatchdogSec=200s\n')
  await appendFile(unit, '# mine\n')
  expect(JSON.parse((await service('status', '--json')).stdout).files[0].state).toBe('changed')
})

test('hostile names and paths are refused before anything is written', async () => {
  const { service, output, home, env } = await prepare()
  for (const user of ['root', 'a b', 'x\nExecStartPre=/bin/sh', '%n', '-u', '', '0', 'Ä', 'a'.repeat(40)]) {
    const refused = await service('install', `--user=${user}`)
    expect(refused, user).toMatchObject({ code: EXIT.usage, stdout: '' })
  }
  for (const path of ['/srv/a\nExecStartPre=/bin/sh', '/srv/a\\', '/srv/a ', '/srv/\x1b[31m']) {
    expect(await service('install', '--writable', path), path).toMatchObject({ code: EXIT.usage, stdout: '' })
  }
  // To PM2, which reads its file as a program, these end a line: a comment too.
  for (const end of ['\u2028', '\u2029']) {
    const state = join(home, `a${end}process.exit(7)${end}b`)
    const command = ['--state-dir', state, 'service', 'install', '--manager', 'pm2', '--output', output]
    const refused = await runCli(command, { env })
    expect(refused).toMatchObject({ code: EXIT.usage, stdout: '' })
    expect(refused.stderr).toContain('a service cannot use the path')
  }
  expect(await service('install', '--manager', 'upstart')).toMatchObject({ code: EXIT.usage })
  expect(await service('install', '--manager', 'pm2', '--user', 'swarm')).toMatchObject({ code: EXIT.usage })
  const nowhere = await runCli(['service', 'install', '--output', output], {
    env: { HOME: home, SWARM_CONFIG: join(home, 'none.yaml') },
  })
  expect(nowhere).toMatchObject({ code: EXIT.notFound })
  expect(nowhere.stderr).toContain('swarm init')
  expect(await readdir(home)).not.toContain('units')
})

test('where it may not write it says so and what to do; --print writes nothing', async () => {
  const { env, home, service } = await prepare()
  const refused = await runCli(['service', 'install', '--output', '/sys/swarm'], { env })
  expect(refused).toMatchObject({ code: EXIT.auth, stdout: '' })
  expect(refused.stderr).toContain('cannot write /sys/swarm/swarm.service')
  expect(refused.stderr).toContain('run it as root')
  const printed = await service('install', '--print')
  expect(printed).toMatchObject({ code: EXIT.ok })
  expect(printed.stdout).toContain('[Service]')
  expect(await service('install', '--dry-run', '--json')).toMatchObject({ code: EXIT.ok })
  expect(await readdir(home)).not.toContain('units')
})

const NEEDS_ROOT = 'covers parts of /proc as systemd would: only as root'
const USER_ID = '65534'
const PROBE = `
import { createBubblewrapDriver } from ${JSON.stringify(join(import.meta.dirname, '../../src/sandbox/bubblewrap/create-bubblewrap-driver.ts'))}
import { randomBytes } from 'node:crypto'
const driver = await createBubblewrapDriver({
  stateDir: '/nonexistent', clock: { now: Date.now }, randomBytes,
  guestProgramPath: ${JSON.stringify(join(import.meta.dirname, '../../dist/guest/swarm-guest.mjs'))},
})
const { ok, reason } = await driver.probe(AbortSignal.timeout(20_000))
process.stdout.write(ok ? 'ok' : reason)
`

test.for([
  [
    'NoNewPrivileges=, CapabilityBoundingSet=, ProtectHome=, ProtectKernelModules= let sandboxes be',
    'for d in /home /root /usr/lib/modules; do [ -d $d ] && mount -t tmpfs -o mode=000 none $d; done; true',
    true,
  ],
  ['ProtectKernelLogs= would not', 'mount --bind /dev/null /proc/kmsg', false],
  [
    'ProtectKernelTunables= would not',
    'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys',
    false,
  ],
  ['ProcSubset= would not', 'mount -t proc -o subset=pid proc /proc', false],
] as const)(
  'the real bubblewrap under the hardening of the unit: %s',
  async ([, mounts, isFine], { skip }) => {
    if (process.getuid?.() !== 0) skip(NEEDS_ROOT)
    const directory = await makeDirectory()
    await chmod(directory, 0o755)
    const probe = join(directory, 'probe.mts')
    await writeFile(probe, PROBE)
    const drop = [
      '--clear-groups',
      '--no-new-privs',
      '--bounding-set=-all',
      '--inh-caps=-all',
      '--ambient-caps=-all',
    ]
    const user = ['setpriv', `--reuid=${USER_ID}`, `--regid=${USER_ID}`, ...drop]
    const reach = spawnSync('setpriv', [...user.slice(1), process.execPath, '--version'])
    if (reach.status !== 0) skip(`an ordinary user cannot run ${process.execPath}`)
    // The program and this checkout may lie in a home that would be covered.
    const kept =
      isFine && [process.execPath, import.meta.dirname].some((path) => /^\/(home|root)\//.test(path))
    if (kept) skip('this checkout lies in a home, which ProtectHome= hides')
    const { stdout, stderr } = spawnSync(
      'unshare',
      [
        '--mount',
        '--propagation',
        'private',
        'sh',
        '-ec',
        `${mounts}\nexec "$@"`,
        'sh',
        ...user,
        process.execPath,
        probe,
      ],
      { encoding: 'utf8', cwd: '/', env: { PATH: process.env.PATH }, timeout: 40_000 },
    )
    if (isFine) expect(stdout, stderr).toBe('ok')
    else expect(stdout, stderr).toMatch(/^a sandbox cannot be started|^this kernel has no filters/)
  },
)
