/**
 * Where a PostgreSQL store is, as one word of configuration: `postgres://user@host:port/database`, or
 * `postgresql:///database?host=/run/postgresql` for a unix socket. A password does not stand in it.
 */
export type PostgresLocation = {
  /** Host name, address, or the absolute folder of a unix socket; `null`: what the environment says */
  readonly host: string | null
  readonly port: number | null
  readonly user: string | null
  readonly database: string | null
  readonly sslMode: SslMode
  /** File with the certificates that the server's is checked against; `null`: those of the system */
  readonly sslRootCertificate: string | null
}

export const SSL_MODES = ['disable', 'require', 'verify-full'] as const
/** `require` encrypts and believes whoever answers; `verify-full` checks who it is */
export type SslMode = (typeof SSL_MODES)[number]

const LOCATION =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/?#]*)(?<password>:[^@/?#]*)?@)?(?<host>\[[^\]]+\]|[^:/?#]*)(?::(?<port>\d+))?(?:\/(?<database>[^/?#]*))?(?:\?(?<query>[^#]*))?$/
const QUERY_NAMES = ['host', 'port', 'user', 'sslmode', 'sslrootcert']

export function isPostgresLocation(text: string): boolean {
  return /^postgres(ql)?:/.test(text)
}

/** @returns what is wrong, in a sentence without the text itself, when it cannot be used */
export function parsePostgresLocation(text: string): PostgresLocation | string {
  const groups = LOCATION.exec(text)?.groups
  if (groups === undefined) {
    return 'is not of the form postgres://user@host:port/database or postgresql:///database?host=/run/postgresql'
  }
  if (groups.password !== undefined) {
    return 'holds a password: give it as store-password, in PGPASSWORD or in a password file instead'
  }
  const query = new URLSearchParams(groups.query ?? '')
  const odd = [...query.keys()].find((name) => !QUERY_NAMES.includes(name))
  if (odd === 'password') return 'holds a password: give it as store-password instead'
  if (odd !== undefined) return `has the parameter ${odd.slice(0, 40)}; known are ${QUERY_NAMES.join(', ')}`
  const host = decode(groups.host?.replace(/^\[(.*)\]$/, '$1')) ?? query.get('host')
  const port = groups.port ?? query.get('port')
  if (port !== null && !(/^\d{1,5}$/.test(port) && Number(port) <= 65_535)) return 'has a port that is none'
  const sslMode = query.get('sslmode') ?? (isNear(host) ? 'disable' : 'verify-full')
  if (!isSslMode(sslMode)) return `has an sslmode that is none of ${SSL_MODES.join(', ')}`
  return {
    host,
    port: port === null ? null : Number(port),
    user: decode(groups.user) ?? query.get('user'),
    database: decode(groups.database),
    sslMode,
    sslRootCertificate: query.get('sslrootcert'),
  }
}

/** For people: never with a password. */
export function describeLocation({ host, port, database }: PostgresLocation): string {
  const where = host === null ? 'the default server' : port === null ? host : `${host}:${port}`
  return `PostgreSQL database ${database ?? '(default)'} on ${where}`
}

function decode(text: string | undefined): string | null {
  if (text === undefined || text === '') return null
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function isSslMode(text: string): text is SslMode {
  return (SSL_MODES as readonly string[]).includes(text)
}

/** Whether nothing that is sent there leaves this machine. */
function isNear(host: string | null): boolean {
  return host === null || host.startsWith('/') || ['localhost', '127.0.0.1', '::1'].includes(host)
}
