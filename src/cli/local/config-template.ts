/** The configuration that `swarm init` writes: every setting with its default, most of them as comments. */
export function toConfigTemplate(stateDir: string): string {
  return `# Configuration of the Swarm daemon. Each line that begins with "# " and a key shows a default.
# Check it with: swarm config explain

# Store, sockets, mirrors, logs and sandboxes.
state-dir: ${JSON.stringify(stateDir)}

# A file in the state directory.
# store: sqlite:swarm.db

# The API on TCP, beside the unix socket in the state directory. port: null turns it off, 0 takes any free one.
# listen:
#   host: 127.0.0.1
#   port: 7377
#   allowed-hosts: []

# Runs at a time.
# slots: 2

# What one sandbox may use when its agent asks for nothing else. Driver: bubblewrap; none means no isolation.
# sandbox:
#   driver: bubblewrap
#   memory-mib: 2048
#   processes: 512
#   disk-mib: 4096
#   timeout: 1h
#   warm: 1

# A holder silent for ttl loses its run; a sandbox without renewal for deadman kills itself before that.
# lease:
#   ttl: 30s
#   deadman: 20s

# Runs begun for one ticket before it is a dead letter, and the wait between them.
# retry:
#   runs: 3
#   backoff: 5s
#   backoff-max: 5m

# Looking for work without being woken.
# poll:
#   interval: 2s

# Where sandboxes may connect to, as host:port. allow-private names hosts on private addresses.
# egress:
#   allow: []
#   allow-private: []

# Models that agents may use. The key stays on this host: { env: NAME } or { file: PATH } (mode 0600).
# provider: anthropic, or openai for any compatible server.
# models:
#   default:
#     provider: anthropic
#     base-url: https://api.anthropic.com
#     model: claude-sonnet-4-5
#     key: { env: ANTHROPIC_API_KEY }

# Which tickets go to which workflow; the first rule that matches wins, then the project's default workflow.
# With rules, without the brackets:
# routes: []
#   - name: bugs
#     when: { type: bug, labels: [backend], project: WEB, title-contains: crash }
#     workflow: code-change
#     agent: coder

# How branches are pushed. local: a bare repository on this host, with pull requests kept by Swarm.
# A credential ({ env: NAME } or { file: PATH }) is sent to the hosts that are named beside it, and to no other.
# forges:
#   local: { kind: local }
#   git: { kind: git }

# Tickets databases of other programs, mirrored and written back. Look first: swarm tracker check legacy
# With one, without the braces:
# trackers: {}
#   legacy:
#     kind: sqlite-table
#     file: /srv/platform/tickets.db
#     project: WEB
#     workflow: code-change
#     columns: { status: state, claimed-by: worker }
#     statuses: { pending: [open, ready], running: in_progress, done: closed }

# How long what has ended is kept, and how much of it at most. forever: no limit. See also: swarm gc --dry-run
# retention:
#   events: 90d
#   events-max: 5000000
#   runs: 180d
#   logs: 30d
#   logs-gib: 20
#   artifacts: 90d
#   artifacts-gib: 20
#   work: 30d

# level: debug, info, warn, error. format: json, pretty.
# log:
#   level: info
#   format: json
`
}
