/** The files for systemd: the unit, and who the user is; pure. */
import { relative } from 'node:path'
import { COORDINATOR_GROUP } from '../../../platform/cgroup.ts'
import { EXIT } from '../../exit-codes.ts'
import type { ServicePlan } from './service-plan.ts'

/** The first version that puts a service's process into a group below the one that it hands over */
const SUBGROUP_VERSION = 254
const STATE_HOME = '/var/lib'
/** Places that the service does not see unless something of its own lies there */
const HOMES = ['/home', '/root', '/run/user']
const SCRATCH = ['/tmp', '/var/tmp']

export function toSystemdUnit(plan: ServicePlan): string {
  const { nodePath, programPath, configPath, stateDir, user } = plan
  const args = [programPath, 'up', '--config', configPath, '--state-dir', stateDir]
  return `[Unit]
Description=Swarm coordinator
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=5min
StartLimitBurst=10

[Service]
ExecStart=${[quotePath(nodePath), ...args.map(quoteArgument)].join(' ')}
User=${user}
UMask=0077
# Keys of models and forges: lines NAME=value, read by systemd; keep it for root alone (chmod 600).
EnvironmentFile=-${toPattern(plan.environmentFile)}

# The daemon says when its sockets answer, and then, as long as its loops go round and its store answers, that it lives.
# It speaks through systemd-notify, a process of its own: that is why all of the unit's processes may speak. Sandboxes
# cannot: the socket does not exist in them.
Type=notify
NotifyAccess=all
TimeoutStartSec=${toSeconds(plan.startTimeoutMs)}
WatchdogSec=${toSeconds(plan.watchdogMs)}

# Stopping claims nothing more and leaves running sandboxes to the next start. KillMode=process leaves them alone.
KillMode=process
KillSignal=SIGTERM
TimeoutStopSec=${toSeconds(plan.stopTimeoutMs)}
SuccessExitStatus=${EXIT.interrupted}
Restart=on-failure
RestartSec=2
# Trying again mends none of these: wrong configuration, another daemon on this state, a Node.js that is too old.
RestartPreventExitStatus=${EXIT.usage} ${EXIT.conflict} ${EXIT.badNode}

${toDelegation(plan)}
# Sandboxes have limits of their own. One that runs out of memory is not the end of the service.
TasksMax=infinity
OOMPolicy=continue
LimitCORE=0

${toDirectories(plan)}

# Hardening, as far as bubblewrap still makes sandboxes inside. Filters of system calls are inherited by sandboxes:
# only those are set that the filter of a sandbox has too.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=${isUsedIn(HOMES, plan) ? 'read-only' : 'yes'}
PrivateTmp=${isUsedIn(SCRATCH, plan) ? 'no' : 'yes'}
PrivateDevices=yes
ProtectKernelModules=yes
ProtectClock=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictRealtime=yes
SystemCallArchitectures=native
# Left out, each with its reason:
# RestrictNamespaces=: a sandbox is made of namespaces.
# PrivateUsers=: a sandbox has a user namespace of its own, and those of the last start must belong to the same one.
# ProtectKernelTunables=, ProtectKernelLogs=: they cover parts of /proc, and then the kernel refuses a sandbox its own.
# ProcSubset=, ProtectProc=: the daemon finds its sandboxes, and what the kernel can do, in /proc.
# ProtectControlGroups=: the limits of sandboxes are written there.
# ProtectHostname=: it forbids sandboxes a host name of their own.
# SystemCallFilter=: mounts and namespaces would have to be allowed anyway; sandboxes have a filter of their own.
# MemoryDenyWriteExecute=: Node.js compiles at run time.
# LockPersonality=, RestrictSUIDSGID=: debuggers and package builds in sandboxes need what they forbid.

[Install]
WantedBy=multi-user.target
`
}

/** The user, for systemd-sysusers: a system user without a password and a shell, whose home is the state. */
export function toSysusers({ user, stateDir }: ServicePlan): string {
  // A colon cannot stand in the list of users.
  const home = stateDir.includes(':') ? '-' : quotePath(stateDir)
  return `u ${user} - "Swarm coordinator" ${home} /usr/sbin/nologin\n`
}

/**
 * Below /var/lib systemd makes the directory and gives it to the user; elsewhere, and where its name has characters
 * that mean something in that directive, it must be there.
 */
export function hasStateDirectory({ stateDir }: Pick<ServicePlan, 'stateDir'>): boolean {
  return /^\/var\/lib(\/[\w.@+-]+)+$/.test(stateDir)
}

function toDirectories(plan: ServicePlan): string {
  const { stateDir, writable } = plan
  const state = hasStateDirectory(plan)
    ? [`StateDirectory=${relative(STATE_HOME, stateDir)}`, 'StateDirectoryMode=0700']
    : [`ReadWritePaths=${quotePath(stateDir)}`]
  return [...state, ...writable.map((path) => `ReadWritePaths=${quotePath(`-${path}`)}`)].join('\n')
}

function toDelegation({ systemdVersion }: ServicePlan): string {
  if (systemdVersion >= SUBGROUP_VERSION) {
    return `# Limits of sandboxes are enforced by control groups beside the daemon's own.
Delegate=memory pids cpu
DelegateSubgroup=${COORDINATOR_GROUP}`
  }
  return `# Systemd before ${SUBGROUP_VERSION} starts the daemon in the very group that it hands over. With limits set below it
# the kernel would refuse the next start while sandboxes of this one live, so the limits stay soft here; with a newer
# systemd, install the service again.
Delegate=yes`
}

function isUsedIn(places: readonly string[], plan: ServicePlan): boolean {
  const { nodePath, programPath, configPath, stateDir, writable } = plan
  return [nodePath, programPath, configPath, stateDir, ...writable].some((path) =>
    places.some((place) => path === place || path.startsWith(`${place}/`)),
  )
}

function toSeconds(ms: number): string {
  return `${Math.ceil(ms / 1000)}s`
}

/** One argument of a command line: neither a specifier nor a variable nor the end of the quotes. */
function quoteArgument(text: string): string {
  return quotePath(text).replaceAll('$', '$$$$')
}

/** One word of a list, or the program of a command line, in which nothing is put in for variables. */
function quotePath(text: string): string {
  return `"${escapeSpecifiers(text).replaceAll(/["\\]/g, '\\$&')}"`
}

/** A value that is the whole rest of its line, and a pattern: it matches this one path. */
function toPattern(path: string): string {
  return escapeSpecifiers(path).replaceAll(/[\\*?[\]]/g, '\\$&')
}

function escapeSpecifiers(text: string): string {
  return text.replaceAll('%', '%%')
}
