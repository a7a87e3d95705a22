/** One thing that is wrong with the configuration, and where. */
export type ConfigProblem = {
  /** `/etc/swarm/config.yaml:3:1`, `environment SWARM_SLOTS`, `flag --state-dir` */
  readonly where: string
  /** What is wrong, without the value of anything that may be a secret */
  readonly message: string
  /** What to do about it */
  readonly hint: string | null
}

/** The configuration cannot be used; nothing was started. */
export class ConfigError extends Error {
  readonly code: 'config_missing' | 'config_unreadable' | 'config_invalid'
  readonly problems: readonly ConfigProblem[]

  constructor(code: ConfigError['code'], problems: readonly ConfigProblem[], cause?: unknown) {
    super(problems.map(formatProblem).join('\n'), { cause })
    this.name = 'ConfigError'
    this.code = code
    this.problems = problems
  }
}

function formatProblem({ where, message, hint }: ConfigProblem): string {
  return hint === null ? `${where}: ${message}` : `${where}: ${message}; ${hint}`
}
