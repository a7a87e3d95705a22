/**
 * The real systemd as process 1 of namespaces of its own: processes, mounts, network, control groups. It sees this
 * host's files, and what it writes goes into memory. Only root can make this.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SWARM } from './daemon-process.ts'
import { waitFor } from './wait-for.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
const BOOT_TIMEOUT_MS = 20_000

/** What the script printed and its exit code, or why there is no systemd to run it under. */
export type SystemdRun =
  | { readonly kind: 'ran'; readonly code: number; readonly output: string }
  | { readonly kind: 'absent'; readonly reason: string }

/**
 * Boots systemd with nothing but one script as a service. `swarm` is in the script's `PATH`. Everything is ended
 * when the script has ended.
 * @param directory an empty one of the test's own
 */
export async function runUnderSystemd(
  directory: string,
  script: string,
  timeoutMs: number,
): Promise<SystemdRun> {
  const shared = join(directory, 'shared')
  await mkdir(join(directory, 'root'))
  await mkdir(shared)
  await chmod(directory, 0o755)
  await chmod(shared, 0o777)
  await writeFile(join(directory, 'script.sh'), script)
  await writeFile(join(directory, 'boot.sh'), toBootScript(directory))
  const groups = await makeGroup()
  if (groups === undefined)
    return { kind: 'absent', reason: 'no control groups of version 2 can be made here' }
  const child = spawn('bash', ['-c', ENTER, 'bash', groups, join(directory, 'boot.sh')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: SYSTEM_PATH },
  })
  let said = ''
  child.stdout.on('data', (data) => (said += data))
  child.stderr.on('data', (data) => (said += data))
  const closed = once(child, 'close')
  const read = (name: string) => readFile(join(shared, name), 'utf8')
  try {
    const hasBooted = await untilThere(child, () => read('booted'), BOOT_TIMEOUT_MS)
    if (!hasBooted)
      return { kind: 'absent', reason: `systemd cannot be booted in namespaces: ${said.slice(-600)}` }
    await untilThere(child, () => read('code'), timeoutMs)
    return { kind: 'ran', code: Number(await read('code').catch(() => '-1')), output: await read('output') }
  } finally {
    // With the first process of its namespace everything in it ends.
    child.kill('SIGKILL')
    await closed
    await waitFor('the control groups are empty', () => removeGroups(groups), 10_000)
  }
}

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const ENTER = `echo $$ > "$1/cgroup.procs" &&
exec unshare --kill-child=SIGKILL -m -p -f -u -i -n -C --propagation private bash "$2"`

function toBootScript(directory: string): string {
  return `set -e
cd '${directory}'
mkdir upper; mount -t tmpfs tmpfs upper; mkdir upper/files upper/work
mount -t overlay overlay -o lowerdir=/,upperdir=upper/files,workdir=upper/work root
# Nothing of the host's own services, mounts and settings is started.
rm -rf root/etc/systemd/system root/etc/fstab root/etc/swarm root/var/lib/swarm root/lib/systemd/system/*.wants
mkdir -p root/etc/systemd/system root/shared
for target in sysinit basic network-online; do
  printf '[Unit]\\nDefaultDependencies=no\\n' > root/etc/systemd/system/$target.target
done
mount -t proc proc root/proc
mount -t sysfs sysfs root/sys
mount -t cgroup2 cgroup2 root/sys/fs/cgroup
mount -t tmpfs tmpfs root/run
mount -t tmpfs -o mode=1777 tmpfs root/tmp
mount -t tmpfs -o mode=755 tmpfs root/dev
for device in null zero full random urandom tty; do cp -a /dev/$device root/dev/$device; done
mkdir root/dev/pts root/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts root/dev/pts
mount -t tmpfs -o mode=1777 tmpfs root/dev/shm
ln -s pts/ptmx root/dev/ptmx; ln -s /proc/self/fd root/dev/fd
mkdir -p root'${ROOT}'; mount --bind '${ROOT}' root'${ROOT}'; mount -o remount,bind,ro root'${ROOT}'
mount --bind shared root/shared
printf '#!/bin/sh\\nexec "%s" "%s" "$@"\\n' '${process.execPath}' '${SWARM}' > root/usr/local/bin/swarm
chmod 755 root/usr/local/bin/swarm
cp script.sh root/script.sh
cat > root/etc/systemd/system/script.service <<'END'
[Unit]
DefaultDependencies=no
[Service]
Type=exec
Environment=HOME=/root PATH=${SYSTEM_PATH}
ExecStart=/bin/bash -c 'touch /shared/booted; bash --norc /script.sh; echo $$? > /shared/code.tmp; mv /shared/code.tmp /shared/code'
StandardOutput=file:/shared/output
StandardError=file:/shared/output
END
cd root; mkdir -p old; pivot_root . old; cd /; umount -l /old
exec env -i container=swarm-test PATH=${SYSTEM_PATH} /lib/systemd/systemd --system --unit=script.service --log-target=console --log-level=warning
`
}

/** Whether it can be read in time, and before the child ends. */
async function untilThere(
  child: ChildProcess,
  read: () => Promise<string>,
  timeoutMs: number,
): Promise<boolean> {
  const look = async () => {
    if (child.exitCode !== null) return false
    return (await read()) === undefined ? undefined : true
  }
  return await waitFor('the file is there', look, timeoutMs).catch(() => false)
}

/** A group of version 2 below this process's own; with its controllers or, beside version 1, without any. */
async function makeGroup(): Promise<string | undefined> {
  const own = /^0::(.*)$/m.exec(await readFile('/proc/self/cgroup', 'utf8'))?.[1]
  if (own === undefined) return undefined
  for (const mount of ['/sys/fs/cgroup/unified', '/sys/fs/cgroup']) {
    const path = join(mount, own, `swarm-systemd-${process.pid}`)
    const isMade = await mkdir(path).then(
      () =>
        readFile(join(path, 'cgroup.procs')).then(
          () => true,
          () => false,
        ),
      () => false,
    )
    if (isMade) return path
  }
  return undefined
}

async function removeGroups(path: string): Promise<true | undefined> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) if (entry.isDirectory()) await removeGroups(join(path, entry.name))
  return await rmdir(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? true : undefined),
  )
}
