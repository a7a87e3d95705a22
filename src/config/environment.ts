/** Every environment variable that Swarm reads: one list, so that documentation and code cannot drift apart. */

export type SettingVariable = {
  readonly variable: string
  /** Place in the configuration that it overrides, dots between the keys */
  readonly setting: string
  readonly type: 'text' | 'number' | 'number-or-none'
}

/** Variables that override one setting of the configuration file. */
export const SETTING_VARIABLES: readonly SettingVariable[] = [
  { variable: 'SWARM_STATE_DIR', setting: 'state-dir', type: 'text' },
  { variable: 'SWARM_STORE', setting: 'store', type: 'text' },
  { variable: 'SWARM_HOST', setting: 'host', type: 'text' },
  { variable: 'SWARM_LISTEN_HOST', setting: 'listen.host', type: 'text' },
  { variable: 'SWARM_LISTEN_PORT', setting: 'listen.port', type: 'number-or-none' },
  { variable: 'SWARM_SLOTS', setting: 'slots', type: 'number' },
  { variable: 'SWARM_SANDBOX_DRIVER', setting: 'sandbox.driver', type: 'text' },
  { variable: 'SWARM_SANDBOX_MEMORY_MIB', setting: 'sandbox.memory-mib', type: 'number' },
  { variable: 'SWARM_SANDBOX_PROCESSES', setting: 'sandbox.processes', type: 'number' },
  { variable: 'SWARM_SANDBOX_DISK_MIB', setting: 'sandbox.disk-mib', type: 'number' },
  { variable: 'SWARM_SANDBOX_TIMEOUT', setting: 'sandbox.timeout', type: 'text' },
  { variable: 'SWARM_SANDBOX_WARM', setting: 'sandbox.warm', type: 'number' },
  { variable: 'SWARM_LEASE_TTL', setting: 'lease.ttl', type: 'text' },
  { variable: 'SWARM_LEASE_DEADMAN', setting: 'lease.deadman', type: 'text' },
  { variable: 'SWARM_RETRY_RUNS', setting: 'retry.runs', type: 'number' },
  { variable: 'SWARM_RETRY_BACKOFF', setting: 'retry.backoff', type: 'text' },
  { variable: 'SWARM_RETRY_BACKOFF_MAX', setting: 'retry.backoff-max', type: 'text' },
  { variable: 'SWARM_POLL_INTERVAL', setting: 'poll.interval', type: 'text' },
  { variable: 'SWARM_LOG_LEVEL', setting: 'log.level', type: 'text' },
  { variable: 'SWARM_LOG_FORMAT', setting: 'log.format', type: 'text' },
]

/** Variables that are no setting, with what they mean. */
export const OTHER_VARIABLES: readonly { readonly variable: string; readonly meaning: string }[] = [
  { variable: 'SWARM_CONFIG', meaning: 'path of the configuration file' },
  { variable: 'SWARM_URL', meaning: 'address of the API for commands; without it, the unix socket is used' },
  { variable: 'SWARM_TOKEN', meaning: 'token for the API at SWARM_URL' },
  { variable: 'SWARM_TOKEN_FILE', meaning: 'file that holds the token, readable by its owner only' },
  {
    variable: 'SWARM_PROJECT',
    meaning: 'project for `swarm ticket create` and lists when --project is not given',
  },
  { variable: 'SWARM_RUN_TOKEN', meaning: 'inside a sandbox: the credential of the run' },
  { variable: 'SWARM_GATEWAY_URL', meaning: 'inside a sandbox: the way out' },
  {
    variable: 'PGPASSWORD',
    meaning: 'password of a store in PostgreSQL, unless `store-password` names another place',
  },
  { variable: 'PGPASSFILE', meaning: 'file with passwords of PostgreSQL, instead of `~/.pgpass`' },
  { variable: 'ANTHROPIC_API_KEY', meaning: 'key of the default model route, unless configured otherwise' },
  { variable: 'XDG_CONFIG_HOME', meaning: 'where the configuration of an ordinary user is looked for' },
  { variable: 'XDG_STATE_HOME', meaning: 'where the state of an ordinary user lives' },
  { variable: 'NO_COLOR', meaning: 'set to anything: no colour' },
  { variable: 'CLICOLOR', meaning: '0: no colour' },
  { variable: 'CLICOLOR_FORCE', meaning: 'other than 0: colour even when the output is no terminal' },
  { variable: 'FORCE_COLOR', meaning: 'as CLICOLOR_FORCE; 0: no colour' },
  { variable: 'TERM', meaning: '`dumb`: neither colour nor redrawn lines' },
]

/** `SWARM_` variables that mean nothing here: most often a typing mistake. */
export function findUnknownVariables(
  environment: Readonly<Record<string, string | undefined>>,
  referenced: ReadonlySet<string>,
): readonly string[] {
  const known = new Set(listVariables())
  return Object.keys(environment)
    .filter((name) => name.startsWith('SWARM_') && !known.has(name) && !referenced.has(name))
    .sort()
}

export function listVariables(): readonly string[] {
  return [...SETTING_VARIABLES, ...OTHER_VARIABLES].map(({ variable }) => variable)
}
