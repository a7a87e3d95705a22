// The import table of ARCHITECTURE.md, row for row. `test/unit/architecture.test.ts` compares the two.
// A family is a folder with a contract; each folder inside it is one implementation.
const FAMILIES = ['store', 'sandbox', 'agent', 'forge', 'tracker']
const IMPLEMENTATION = `^src/(${FAMILIES.join('|')})/([^/]+)/`
/** Queries that every store shares, beside its contract. */
const SHARED_QUERIES = '^src/store/(writes|reads|migrations)/'
const contractOf = (family) => `^src/${family}/[^/]+\\.ts$`
const familyContracts = FAMILIES.map(contractOf)

/** Folder → what it may import from `src`, as regular expressions; its own folder is always allowed. */
const TABLE = {
  domain: [],
  workflow: ['^src/domain/'],
  'rest-schema': ['^src/domain/'],
  platform: [],
  gateway: ['^src/domain/', '^src/platform/', contractOf('store')],
  config: ['^src/domain/', '^src/platform/', contractOf('store')],
  registry: ['^src/domain/', '^src/workflow/', '^src/platform/', contractOf('store')],
  engine: [
    '^src/domain/',
    '^src/workflow/',
    '^src/platform/',
    ...familyContracts,
    '^src/gateway/contract\\.ts$',
  ],
  coordinator: [
    '^src/domain/',
    '^src/workflow/',
    '^src/platform/',
    '^src/registry/',
    '^src/engine/',
    ...familyContracts,
  ],
  api: [
    '^src/domain/',
    '^src/rest-schema/',
    '^src/registry/',
    contractOf('store'),
    '^src/coordinator/control\\.ts$',
  ],
  client: ['^src/rest-schema/'],
}

const rows = Object.entries(TABLE).map(([folder, allowed]) => ({
  name: `${folder}-imports`,
  comment: `src/${folder} imports something that its row of the import table does not list`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: '^src/', pathNot: [`^src/${folder}/`, ...allowed] },
}))

module.exports = {
  forbidden: [
    ...rows,
    {
      name: 'contract-imports',
      comment: "a family's contract and shared files import domain and libraries only",
      severity: 'error',
      from: { path: `^src/(${FAMILIES.join('|')})/[^/]+\\.ts$`, pathNot: '\\.test\\.ts$' },
      to: { path: '^src/', pathNot: ['^src/domain/', '^src/$1/[^/]+\\.ts$'] },
    },
    {
      name: 'shared-query-imports',
      comment: 'the queries that every store shares import domain and their own family only',
      severity: 'error',
      from: { path: SHARED_QUERIES },
      to: { path: '^src/', pathNot: ['^src/domain/', '^src/store/[^/]+\\.ts$', SHARED_QUERIES] },
    },
    {
      name: 'implementation-imports',
      comment: 'an implementation imports its own folder, its contract and shared files, domain and platform',
      severity: 'error',
      from: { path: IMPLEMENTATION, pathNot: SHARED_QUERIES },
      to: {
        path: '^src/',
        pathNot: ['^src/domain/', '^src/platform/', '^src/$1/[^/]+\\.ts$', '^src/$1/$2/', SHARED_QUERIES],
      },
    },
    {
      name: 'cli-imports',
      comment: 'a command speaks through the client',
      severity: 'error',
      from: { path: '^src/cli/', pathNot: '^src/cli/local/' },
      to: { path: '^src/', pathNot: ['^src/cli/', '^src/client/', '^src/rest-schema/', '^src/platform/'] },
    },
    {
      name: 'cli-local-imports',
      comment: 'a command that needs no daemon may also read configuration, workflows and the registry',
      severity: 'error',
      from: { path: '^src/cli/local/' },
      to: {
        path: '^src/',
        pathNot: [
          '^src/cli/',
          '^src/client/',
          '^src/rest-schema/',
          '^src/platform/',
          '^src/config/',
          '^src/workflow/',
          '^src/registry/',
          '^src/main\\.ts$',
        ],
      },
    },
    {
      name: 'context-is-the-composition-root',
      comment: 'context.ts is imported by main.ts and test/support only',
      severity: 'error',
      from: { path: '^(src|test|bench|scripts)/', pathNot: ['^src/main\\.ts$', '^test/support/'] },
      to: { path: '^src/context\\.ts$' },
    },
    {
      name: 'platform-is-the-only-door',
      comment: 'only platform starts processes, opens sockets or files',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: ['^src/platform/', '^src/[^/]+/shipped/', '\\.test\\.ts$', '^src/main\\.ts$'],
      },
      to: {
        path: '^(node:)?(child_process|net|http|https|http2|tls|dgram|cluster)$',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'pure-folders',
      comment: 'domain, workflow and rest-schema do no I/O',
      severity: 'error',
      from: { path: '^src/(domain|workflow|rest-schema)/', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'guest-shares-only-the-protocol',
      comment: 'the program inside a sandbox shares only the protocol with the host',
      severity: 'error',
      from: { path: '^guest/', pathNot: '\\.test\\.ts$' },
      to: { path: '^src/', pathNot: '^src/sandbox/guest-protocol[^/]*\\.ts$' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-fakes-in-product',
      comment: 'fakes are wired by the composition root and tests only',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/context\\.ts$', '/fake/'] },
      to: { path: '/fake/' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.cjs', '.mjs'] },
  },
}
