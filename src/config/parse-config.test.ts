import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ConfigError } from './config-error.ts'
import { findUnknownVariables, listVariables } from './environment.ts'
import { explainConfig } from './explain-config.ts'
import { type ConfigSource, parseConfig } from './parse-config.ts'

const PLACES = { workingDirectory: '/srv/place', home: '/home/ada', isRoot: false }

function parse(text: string, more: Partial<ConfigSource> = {}) {
  return parseConfig({ text, file: '/etc/swarm/config.yaml', environment: {}, places: PLACES, ...more })
}

function problemsOf(text: string, more: Partial<ConfigSource> = {}): string[] {
  try {
    parse(text, more)
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n')
    throw error
  }
  throw new Error('the configuration was taken')
}

test('an empty file gives a complete configuration', () => {
  const { config } = parse('')
  expect(config).toMatchObject({
    stateDir: '/home/ada/.local/state/swarm',
    store: { kind: 'sqlite', path: '/home/ada/.local/state/swarm/swarm.db' },
    listen: { host: '127.0.0.1', port: 7377 },
    slotCount: 2,
    sandbox: { driver: 'bubblewrap', timeoutMs: 3_600_000 },
    lease: { ttlMs: 30_000, deadmanMs: 20_000 },
    egress: [],
    routes: [],
  })
  expect(config.models[0]).toMatchObject({
    name: 'default',
    key: { kind: 'env', variable: 'ANTHROPIC_API_KEY' },
  })
})

test('root keeps its state in /var/lib/swarm', () => {
  expect(parse('', { places: { ...PLACES, isRoot: true } }).config.stateDir).toBe('/var/lib/swarm')
})

test('every setting can be written', () => {
  const { config } = parse(`
state-dir: ../state
store: sqlite:tickets.db
host: build-1
listen: { host: 0.0.0.0, port: null, allowed-hosts: [Swarm.Example.org] }
slots: 4
sandbox: { driver: none, memory-mib: 512, processes: 64, disk-mib: 256, timeout: 1h30m, warm: 0 }
lease: { ttl: 10s, deadman: 5s }
retry: { runs: 5, backoff: 1s, backoff-max: 1m }
poll: { interval: 500ms }
egress: { allow: ['*.Example.org:443'], allow-private: ['[::1]:8080'] }
models:
  fast: { provider: openai, base-url: 'http://127.0.0.1:9000/', model: small, key: { file: fast.key } }
routes:
  - { name: bugs, when: { type: bug, labels: [a, b], project: WEB, title-contains: crash }, workflow: code-change@1, agent: coder, inputs: { deep: [1, { x: true }] } }
  - { name: rest, workflow: linear }
forges:
  origin: { kind: git, username: bot, credential: { env: FORGE_TOKEN }, hosts: [Git.Example.org:443, 'git.example.org:8443'] }
trackers:
  legacy:
    kind: sqlite-table
    file: ../platform/swarm.db
    project: WEB
    columns: { status: state, claimed-by: worker, created-at: null }
    statuses: { pending: [pending, ready], done: completed, failed: 4, review: null }
    types: { defect: bug }
    priorities: { high: 1 }
    workflow: code-change@1
    labels: [legacy]
    poll: 1s
retention: { events: forever, events-max: null, runs: 1d, logs: 2d, logs-gib: 0.5, artifacts: 3d, artifacts-gib: 1, work: 4d }
log: { level: debug, format: pretty }
`)
  expect(config).toEqual({
    stateDir: '/etc/state',
    store: { kind: 'sqlite', path: '/etc/state/tickets.db' },
    hostName: 'build-1',
    listen: { host: '0.0.0.0', port: null, allowedHosts: ['swarm.example.org'] },
    slotCount: 4,
    sandbox: {
      driver: 'none',
      memoryMib: 512,
      processCountMax: 64,
      diskMib: 256,
      timeoutMs: 5_400_000,
      warmCount: 0,
    },
    lease: { ttlMs: 10_000, deadmanMs: 5_000 },
    retry: { runCountMax: 5, backoffMs: 1000, backoffMaxMs: 60_000 },
    pollIntervalMs: 500,
    egress: [
      { host: '*.example.org', port: 443, allowPrivate: false },
      { host: '::1', port: 8080, allowPrivate: true },
    ],
    models: [
      {
        name: 'fast',
        protocol: 'openai-chat',
        baseUrl: 'http://127.0.0.1:9000',
        model: 'small',
        key: { kind: 'file', path: '/etc/swarm/fast.key' },
      },
    ],
    routes: [
      {
        name: 'bugs',
        when: { types: ['bug'], labels: ['a', 'b'], projects: ['WEB'], titleContains: 'crash' },
        workflow: 'code-change@1',
        agent: 'coder',
        inputs: { deep: [1, { x: true }] },
      },
      {
        name: 'rest',
        when: { types: null, labels: null, projects: null, titleContains: null },
        workflow: 'linear',
        agent: null,
        inputs: {},
      },
    ],
    forges: [
      {
        name: 'origin',
        kind: 'git',
        username: 'bot',
        credential: { kind: 'env', variable: 'FORGE_TOKEN' },
        hosts: ['git.example.org', 'git.example.org:8443'],
      },
    ],
    trackers: [
      {
        name: 'legacy',
        kind: 'sqlite-table',
        path: '/etc/platform/swarm.db',
        project: 'WEB',
        table: null,
        columns: { status: 'state', 'claimed-by': 'worker', 'created-at': null },
        statuses: { pending: ['pending', 'ready'], done: ['completed'], failed: ['4'], review: [] },
        types: { defect: 'bug' },
        priorities: { high: 1 },
        workflow: 'code-change@1',
        agent: null,
        labels: ['legacy'],
        pollIntervalMs: 1000,
      },
    ],
    retention: {
      eventsMs: null,
      eventCountMax: null,
      runsMs: 86_400_000,
      logsMs: 172_800_000,
      logBytesMax: 536_870_912,
      artifactsMs: 259_200_000,
      artifactBytesMax: 1_073_741_824,
      workMs: 345_600_000,
    },
    log: { level: 'debug', format: 'pretty' },
  })
})

test('U22: an unknown key is an error with its line', () => {
  expect(problemsOf('slots: 2\nslot: 3\nsandbox:\n  memory: 1\n  memoryMib: 1\n')).toEqual([
    '/etc/swarm/config.yaml:4:3: unknown key "memory" in sandbox; known: driver, memory-mib, processes, disk-mib, timeout, warm',
    '/etc/swarm/config.yaml:5:3: unknown key "memoryMib" in sandbox; did you mean "memory-mib"?',
    '/etc/swarm/config.yaml:2:1: unknown key "slot"; did you mean "slots"?',
  ])
})

test('an unknown key deep in a list or a named entry has its line and a hint', () => {
  expect(problemsOf('routes:\n  - name: a\n    workflow: b\n    agnet: c\n')).toEqual([
    '/etc/swarm/config.yaml:4:5: unknown key "agnet" in routes.0; did you mean "agent"?',
  ])
  expect(problemsOf('models:\n  x:\n    provider: openai\n    base_url: http://a\n').join('\n')).toMatch(
    /config.yaml:4:5: unknown key "base_url" in models.x; did you mean "base-url"\?/,
  )
})

test.each([
  ['slots: many', 'config.yaml:1:8: slots expects a number'],
  ['listen: { port: x }', 'config.yaml:1:17: listen.port expects a port from 0 to 65535'],
  ['slots: 0', 'config.yaml:1:8: slots must be at least 1'],
  ['slots: 1.5', 'config.yaml:1:8: slots expects a whole number'],
  ['listen:\n  port: 70000', 'config.yaml:2:9: listen.port must be at most 65535'],
  ['sandbox: { driver: bubblewarp }', 'did you mean "bubblewrap"?'],
  ['sandbox: 7', 'config.yaml:1:10: sandbox expects a mapping'],
  ['poll: { interval: 5 }', 'poll.interval expects a duration with its unit'],
  ['poll: { interval: -5s }', 'poll.interval expects a duration with its unit'],
  [
    'lease: { ttl: 10s, deadman: 10s }',
    'config.yaml:1:29: lease.deadman must be shorter than lease.ttl (10s)',
  ],
  ['retry: { backoff: 10m }', 'retry.backoff must not be longer than retry.backoff-max (5m)'],
  ['store: mysql://x', 'store expects sqlite:FILE or postgres://user@host:port/database'],
  ['store: postgres://user:hunter2@db/x', 'store holds a password'],
  ['store: postgres://db/x?password=hunter2', 'store holds a password'],
  [
    'store: postgres://db/x?sslmode=prefer',
    'store has an sslmode that is none of disable, require, verify-full',
  ],
  ['store: postgres://db:70000/x', 'store has a port that is none'],
  ['store: postgres://db/x?options=-c', 'store has the parameter options'],
  ['store-password: { env: X }', 'store-password is for a store in PostgreSQL'],
  ['host: a b', 'host expects a name of letters'],
  ['egress: { allow: [example.org] }', 'egress.allow.0 expects host:port'],
  ['egress: { allow: ["example.org:0"] }', 'egress.allow.0 has no port'],
  ['egress: { allow-private: ["*.corp:443"] }', 'egress.allow-private.0 must name one host exactly'],
  ['routes:\n  - name: a', 'routes.0.workflow is missing'],
  [
    'routes: [{ name: a, workflow: x }, { name: a, workflow: y }]',
    'routes.1.name repeats the name of routes.0',
  ],
  ['routes: [{ name: a, workflow: "../x" }]', 'routes.0.workflow expects name or name@version'],
  ['models: { Bad Name: { provider: openai, base-url: "http://a" } }', 'a name has lower-case letters'],
  ['models: { a: { provider: openai, base-url: "http://u:p@h/" } }', 'without user name, password'],
  ['retention: { events: 30s }', 'retention.events expects an age with its unit'],
  ['retention: { logs-gib: lots }', 'retention.logs-gib expects a number of GiB, or forever'],
  ['retention: { logs-gib: 0 }', 'retention.logs-gib must be at least 0.001'],
  ['retention: { work: never }', 'retention.work expects an age'],
  ['- a list', 'the file expects a mapping'],
  ['slots: 1\nslots: 2', 'config.yaml:2:1: not valid YAML: Map keys must be unique'],
  ['a: [1', 'not valid YAML'],
  ['slots: !!js/function x', 'not valid YAML'],
  ['__proto__: { slots: 9 }', 'unknown key "__proto__"'],
  ['a: 1\n---\nb: 2', 'not valid YAML'],
])('%j is refused with its place', (text, expected) => {
  expect(problemsOf(text).join('\n')).toContain(expected)
})

test('a secret written into the file is refused without being repeated', () => {
  const text = 'models:\n  default: { provider: anthropic, base-url: "https://a", key: sk-hunter2 }\n'
  const [problem] = problemsOf(text)
  expect(problem).toContain('models.default.key expects { env: NAME } or { file: PATH }')
  expect(problem).not.toContain('hunter2')
  expect(problemsOf('store: postgres://user:hunter2@db/x').join()).not.toContain('hunter2')
})

test('thousands of aliases are refused, not expanded', () => {
  const bomb = [
    'a: &a [1,1,1,1,1,1,1,1,1,1]',
    ...'bcdefgh'.split('').map((name, i) => {
      const before = 'abcdefgh'[i]
      return `${name}: &${name} [${Array(10).fill(`*${before}`).join(',')}]`
    }),
  ].join('\n')
  expect(problemsOf(bomb).join('\n')).toContain('not valid YAML')
})

test('a flag is stronger than the environment, which is stronger than the file', () => {
  const environment = { SWARM_SLOTS: '7', SWARM_STATE_DIR: 'state', SWARM_LISTEN_PORT: 'none' }
  const flags = [{ setting: 'slots', value: 9, origin: 'flag --slots' }]
  const { config } = parse('slots: 3\nstate-dir: /x\n', { environment, flags })
  expect(config).toMatchObject({ slotCount: 9, stateDir: '/srv/place/state', listen: { port: null } })
})

test('a bad value in the environment is reported with the name of its variable', () => {
  expect(problemsOf('', { environment: { SWARM_SLOTS: 'many' } })).toEqual([
    'environment SWARM_SLOTS: slots expects a number',
  ])
  expect(problemsOf('', { environment: { SWARM_LEASE_DEADMAN: '1h' } })[0]).toMatch(
    /^environment SWARM_LEASE_DEADMAN: /,
  )
})

test('a mistyped SWARM_ variable is pointed out; one that a secret is read from is not', () => {
  const text = 'models: { a: { provider: openai, base-url: "http://a", key: { env: SWARM_MY_KEY } } }'
  const { warnings } = parse(text, { environment: { SWARM_SLOT: '3', SWARM_MY_KEY: 'x' } })
  expect(warnings).toEqual([
    'the environment variable SWARM_SLOT means nothing here: did you mean SWARM_SLOTS?',
  ])
})

test('U22: `config explain` prints each value and where it came from', () => {
  const loaded = parse(
    'slots: 3\nlisten:\n  port: 99\nroutes:\n  - { name: a, when: { type: bug }, workflow: w }\n',
    {
      environment: { SWARM_LOG_LEVEL: 'debug' },
      flags: [{ setting: 'state-dir', value: '/s', origin: 'flag --state-dir' }],
    },
  )
  const rows = new Map(explainConfig(loaded).map((row) => [row.setting, row]))
  expect(rows.get('slots')).toMatchObject({ value: 3, origin: '/etc/swarm/config.yaml:1:8' })
  expect(rows.get('listen.port')).toMatchObject({ value: 99, origin: '/etc/swarm/config.yaml:3:9' })
  expect(rows.get('listen.host')).toMatchObject({ value: '127.0.0.1', origin: 'default' })
  expect(rows.get('log.level')).toMatchObject({ value: 'debug', origin: 'environment SWARM_LOG_LEVEL' })
  expect(rows.get('state-dir')).toMatchObject({ value: '/s', origin: 'flag --state-dir' })
  expect(rows.get('routes.0.when.type')).toMatchObject({
    value: ['bug'],
    origin: '/etc/swarm/config.yaml:5:30',
  })
  expect(rows.get('models.default.key.env')).toMatchObject({ value: 'ANTHROPIC_API_KEY', origin: 'default' })
})

test('every SWARM_ variable that the code names is in the one list', () => {
  const root = join(import.meta.dirname, '..')
  // Other folders name variables that are set inside a sandbox; only these read ours.
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /^((cli|config|platform)\/.*(?<!\.test)|main|context)\.ts$/.test(file),
  )
  const named = new Set(
    files.flatMap(
      (file) =>
        readFileSync(join(root, file), 'utf8').match(/(?<![A-Z_])SWARM_[A-Z][A-Z_]*[A-Z](?![A-Z_])/g) ?? [],
    ),
  )
  const environment = Object.fromEntries([...named].map((name) => [name, 'x']))
  expect(findUnknownVariables(environment, new Set())).toEqual([])
  expect(new Set(listVariables()).size).toBe(listVariables().length)
})

test("a forge's credential names the hosts that it may be sent to", () => {
  const forge = (more: string) => `forges: { company: { kind: git, credential: { env: TOKEN }${more} } }`
  expect(problemsOf(forge(''))[0]).toContain('forges.company.credential needs forges.company.hosts')
  expect(problemsOf(forge(', hosts: []'))[0]).toContain('forges.company.hosts must not be empty')
  for (const host of ['https://git.example.org', 'user@git.example.org', 'a b', '*.example.org', 'x:99999']) {
    expect(problemsOf(forge(`, hosts: [${JSON.stringify(host)}]`))[0], host).toContain('forges.company.hosts')
  }
  expect(parse(forge(', hosts: [GIT.example.org]')).config.forges[0]?.hosts).toEqual(['git.example.org'])
})

const tracker = (name: string, more: string) =>
  `  ${name}:\n    kind: sqlite-table\n    file: a.db\n    project: WEB\n    ${more}\n`

test.each([
  ['colums: { id: a }', '6:5: unknown key "colums" in trackers.x; did you mean "columns"?'],
  [
    'columns: { claimedBy: a }',
    '6:16: unknown key "claimedBy" in trackers.x.columns; did you mean "claimed-by"?',
  ],
  ['columns: { id: null }', '6:20: trackers.x.columns.id expects text'],
  ['statuses: { open: a }', /6:17: unknown key "open" in trackers\.x\.statuses; known: draft, pending/],
  [
    'statuses: { pending: null }',
    '6:26: trackers.x.statuses.pending expects a word, a list of words, or null: never written',
  ],
  [
    'statuses: { pending: a, done: [b, a] }',
    '6:35: trackers.x.statuses.done takes the word "a", which stands for pending already; a word means one status',
  ],
  [
    'columns: { title: a, body: A }',
    '6:32: trackers.x.columns.body names the column of title again; write null for a part that has no column',
  ],
  ['priorities: { high: 0 }', '6:25: trackers.x.priorities.high must be at least 1'],
  ['poll: 1ms', '6:11: trackers.x.poll must be at least 100ms'],
  ['workflow: A B', '6:15: trackers.x.workflow expects name or name@version'],
])('a tracker with %s is refused, with its line', (more, problem) => {
  const [found] = problemsOf(`trackers:\n${tracker('x', more)}`)
  if (typeof problem === 'string') expect(found).toBe(`/etc/swarm/config.yaml:${problem}`)
  else expect(found).toMatch(problem)
})

test('two trackers of one table are refused, whatever way the file is written', () => {
  const text = `trackers:\n${tracker('x', 'table: T')}${tracker('y', 'table: t').replace('a.db', './b/../a.db')}`
  expect(problemsOf(text)).toEqual([
    '/etc/swarm/config.yaml:9:11: trackers.y.file and its table are those of trackers.x; each ticket would be mirrored twice',
  ])
  const other = `trackers:\n${tracker('x', 'table: T')}${tracker('y', 'table: u')}`
  expect(parse(other).config.trackers.map(({ table }) => table)).toEqual(['T', 'u'])
})

test('a store in PostgreSQL is named without its password, which is read elsewhere', () => {
  const near = { sslMode: 'disable', sslRootCertificate: null }
  const of = (text: string) => parse(text).config.store
  expect(
    of('store: postgres://ann@db.example.org:6543/tickets\nstore-password: { env: DB_PASSWORD }'),
  ).toEqual({
    kind: 'postgres',
    location: {
      host: 'db.example.org',
      port: 6543,
      user: 'ann',
      database: 'tickets',
      sslMode: 'verify-full',
      sslRootCertificate: null,
    },
    password: { kind: 'env', variable: 'DB_PASSWORD' },
  })
  expect(of('store: postgresql:///swarm?host=/run/postgresql&user=swarm')).toEqual({
    kind: 'postgres',
    location: { host: '/run/postgresql', port: null, user: 'swarm', database: 'swarm', ...near },
    password: null,
  })
  expect(of('store: postgres://localhost/a%20b')).toMatchObject({
    location: { host: 'localhost', database: 'a b', ...near },
  })
  expect(of('store: postgres://[2001:db8::1]/x?sslmode=require')).toMatchObject({
    location: { host: '2001:db8::1', sslMode: 'require' },
  })
})
