import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readGuideExamples } from '../support/guide-examples.ts'
import { runUnderSystemd, type SystemdRun } from '../support/private-systemd.ts'

/** Why there can be no systemd of our own here. */
function findAbsence(): string | undefined {
  if (process.getuid?.() !== 0) return 'systemd is booted in namespaces of its own: only root can'
  if (spawnSync('systemctl', ['--version']).status !== 0) return 'systemd is absent: apt-get install systemd'
  const asUser = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '--version']
  if (spawnSync('setpriv', asUser).status !== 0) return `an ordinary user cannot run ${process.execPath}`
  return undefined
}

async function run(script: string): Promise<Extract<SystemdRun, { kind: 'ran' }> | string> {
  const absence = findAbsence()
  if (absence !== undefined) return absence
  const directory = await mkdtemp(join(tmpdir(), 'swarm-systemd-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const result = await runUnderSystemd(directory, script, 90_000)
  return result.kind === 'absent' ? result.reason : result
}

test('the commands of the guide for systemd work as they stand, under the real one', async ({ skip }) => {
  const ran = await run(`set -eux\n${await readGuideExamples('service.md', 'systemd')}`)
  if (typeof ran === 'string') return skip(ran)
  expect(ran, ran.output).toMatchObject({ code: 0 })
  expect(ran.output.match(/^all well under systemd$/gm)).toHaveLength(2)
  expect(ran.output).toContain('replaced /etc/systemd/system/swarm.service')
  expect(ran.output).toContain('removed /etc/systemd/system/swarm.service')
})

/** Prints a line every 50 ms until it is told to end. */
const PROGRAM = `let line = 0; const timer = setInterval(() => console.log('line ' + ++line), 50)
process.on('SIGUSR2', () => { clearInterval(timer); console.log('end after ' + line) }) // until-told`
const WORKFLOW = `name: long
version: 1
done-when: finished
steps:
  - id: work
    kind: agent
    agent: script
    with:
      command: [node, -e, ${JSON.stringify(PROGRAM)}]
`
const SCENARIO = `set -eu
swarm init >/dev/null
swarm service install >/dev/null
chgrp swarm /etc/swarm/config.yaml; chmod 640 /etc/swarm/config.yaml
mkdir /etc/systemd/system/swarm.service.d
printf '[Service]\\nWatchdogSec=3\\nStandardError=append:/shared/daemon.log\\n' > /etc/systemd/system/swarm.service.d/test.conf
systemctl daemon-reload
systemctl start swarm.service
swarm project create WEB >/dev/null
cat > /tmp/workflow.yaml <<'END'
${WORKFLOW}END
swarm workflow register /tmp/workflow.yaml >/dev/null
swarm ticket create -p WEB -t survive --workflow long >/dev/null
until swarm logs WEB-1 2>/dev/null | grep -q 'line 5'; do :; done
main() { systemctl show -P MainPID swarm.service; }
# The brackets keep grep from finding itself.
working() { grep -l 'until[-]told' /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3 || true; }
report() {
  echo "$1: another=$([ "$(main)" != "$before" ] && echo yes) working=$(working | wc -l) health=$(swarm status -q)"
}
again() { until [ "$(main)" != 0 ] && [ "$(main)" != "$before" ] && swarm status -q >/dev/null 2>&1; do :; done; }
before=$(main); systemctl restart swarm.service; again; report restarted
before=$(main); kill -9 $before; again; report killed
before=$(main); kill -STOP $before; again; report frozen
for pid in $(working); do kill -USR2 $pid; done
until swarm ticket show WEB-1 --json | grep -q '"status":"done"'; do :; done
echo "run: $(swarm run show WEB-1 --json)"
grep -c '"sandbox adopted"' /shared/daemon.log | sed 's/^/adopted: /'
swarm down 2>/dev/null; until [ "$(main)" = 0 ]; do :; done; systemctl show -P Result swarm.service | sed 's/^/down: /'
echo 'nonsense: 1' >> /etc/swarm/config.yaml
systemctl start swarm.service 2>/dev/null || echo "wrong: $(systemctl show -P ExecMainStatus swarm.service) $(systemctl show -P SubState swarm.service)"
`

test('P4, P3: restarted, killed and frozen under systemd the running sandbox is adopted each time, with the hardening of the unit', async ({
  skip,
}) => {
  const ran = await run(SCENARIO)
  if (typeof ran === 'string') return skip(ran)
  expect(ran, ran.output).toMatchObject({ code: 0 })
  const said = (what: string) => new RegExp(`^${what}: (.*)$`, 'm').exec(ran.output)?.[1]
  for (const what of ['restarted', 'killed', 'frozen']) {
    expect(said(what), what).toBe('another=yes working=1 health=ok')
  }
  const runOfTicket = JSON.parse(said('run') ?? '{}')
  expect(runOfTicket).toMatchObject({ number: 1, status: 'succeeded' })
  expect(runOfTicket.steps[0].attempts).toMatchObject([{ number: 1, status: 'succeeded' }])
  expect(runOfTicket.sandboxes).toHaveLength(1)
  expect(said('adopted')).toBe('3')
  expect(said('down')).toBe('success')
  expect(said('wrong')).toBe('2 failed')
})

const WEIRD_PLACES = String.raw`set -eu
place='/srv/we ird %n %% "q" '"'x'"' $HOME \${HOME} back\\slash [a] *; # end'
mkdir -p "$place"
swarm init --config "$place/config.yaml" --state-dir "$place/state" >/dev/null
swarm service install --config "$place/config.yaml" --writable "$place/git dir" >/dev/null
chmod 644 "$place/config.yaml"
chown swarm: "$place/state"
printf 'EXAMPLE_KEY=of the file\n' > "$place/swarm.env"; chmod 600 "$place/swarm.env"
install -d -o swarm "$place/git dir"
systemctl start swarm.service
pid=$(systemctl show -P MainPID swarm.service)
tr '\0' '\n' < /proc/$pid/cmdline | grep -qxF -- "$place/config.yaml" && echo 'configuration: yes'
tr '\0' '\n' < /proc/$pid/cmdline | grep -qxF -- "$place/state" && echo 'state: yes'
tr '\0' '\n' < /proc/$pid/environ | grep '^EXAMPLE_KEY='
swarm service status --config "$place/config.yaml" -q
nsenter --target $pid --mount setpriv --reuid=swarm --regid=swarm --clear-groups touch "$place/git dir/file" && echo 'repository: writable'
nsenter --target $pid --mount touch /etc/file 2>/dev/null || echo 'system: read-only'
setpriv --reuid=nobody --regid=nogroup --clear-groups swarm service status 2>&1 || echo "stranger: $?"
`

test('places with spaces, quotes, specifiers, variables and patterns in their names reach the daemon as they are', async ({
  skip,
}) => {
  const ran = await run(WEIRD_PLACES)
  if (typeof ran === 'string') return skip(ran)
  expect(ran, ran.output).toMatchObject({ code: 0 })
  for (const line of [
    'configuration: yes',
    'state: yes',
    'EXAMPLE_KEY=of the file',
    'repository: writable',
    'system: read-only',
    'stranger: 4',
  ]) {
    expect(ran.output.split('\n')).toContain(line)
  }
})
