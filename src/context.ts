/** The composition root: builds every part once and ties them together. Imported by main.ts and test/support only. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createPackageAdapter } from './agent/package/package-adapter.ts'
import { type Api, createApi } from './api/api.ts'
import type { ApiRegistry } from './api/registry/registry-port.ts'
import type { Config, TrackerConfig } from './config/config.ts'
import { mayNameWorkflow } from './config/may-name-workflow.ts'
import type { Secrets } from './config/secrets.ts'
import { Coordinator } from './coordinator/coordinator.ts'
import type { Maintenance } from './coordinator/maintenance/maintenance.ts'
import type { Project } from './domain/project.ts'
import type { PullRequest } from './domain/pull-request.ts'
import type { Host } from './domain/records.ts'
import { DEFAULT_RETRY } from './domain/retry.ts'
import type { EngineDeps, ForgeCatalogue, SandboxSource } from './engine/ports.ts'
import { WarmSandboxes, type WarmSandboxesInput } from './engine/warm-sandboxes.ts'
import type { Forge, PullRequest as ForgePullRequest, PullRequestRecords } from './forge/contract.ts'
import { createGitForge } from './forge/git/git-forge.ts'
import { createLocalForge } from './forge/local/local-forge.ts'
import type { Gateway } from './gateway/contract.ts'
import { createGateway } from './gateway/create-gateway.ts'
import { openStore } from './open-store.ts'
import { type Clock, systemClock } from './platform/clock.ts'
import type { Logger } from './platform/log.ts'
import { registerHost } from './register-host.ts'
import type { Registry } from './registry/contract.ts'
import { createRegistry } from './registry/create-registry.ts'
import { createBubblewrapDriver } from './sandbox/bubblewrap/create-bubblewrap-driver.ts'
import type { SandboxDriver } from './sandbox/contract.ts'
import { createFakeDriver } from './sandbox/fake/create-fake-driver.ts'
import { createNoneDriver } from './sandbox/none/create-none-driver.ts'
import { createStateCare } from './state-care.ts'
import type { AttemptLogs } from './store/attempt-log.ts'
import type { Store } from './store/contract.ts'
import { createLogFiles } from './store/log-files/log-files.ts'
import type { Tracker } from './tracker/contract.ts'
import { createSqliteTableTracker } from './tracker/sqlite-table/create-sqlite-table-tracker.ts'
import { toMapping } from './tracker/sqlite-table/to-mapping.ts'

export type Context = {
  readonly store: Store
  readonly logs: AttemptLogs
  readonly host: Host
  readonly registry: Registry
  readonly gateway: Gateway
  readonly coordinator: Coordinator
  readonly maintenance: Maintenance
  readonly api: Api
  /** Gives back what was opened here. Maintenance and coordinator are stopped before. May be called twice. */
  close(): Promise<void>
}

export type ContextOptions = {
  readonly config: Config
  readonly secrets: Secrets
  readonly logger: Logger
  /** Version of the package */
  readonly version: string
  /** The guest program and its companions: the folder of the bundles */
  readonly guestDirectory: string
  /** What tests replace */
  readonly overrides?: {
    readonly clock?: Clock
    readonly driver?: SandboxDriver
    readonly randomNumber?: () => number
  }
}

/** Age of the oldest pending ticket from which health says so while slots are free, `ms` */
const PENDING_AGE_MAX_MS = 60_000
/** How long leases and sandboxes outlive a coordinator that is drained, `ms` */
const HAND_OFF_MS = 10 * 60_000

/**
 * Opens the store and builds everything on it. Starts nothing: no loop, no server, no sandbox.
 * @throws StoreError when the store cannot be opened
 */
export async function createContext(options: ContextOptions): Promise<Context> {
  const { config, secrets, logger, overrides = {} } = options
  const clock = overrides.clock ?? systemClock
  const store = await openStore(config, { secrets, logger, clock })
  try {
    const logs = createLogFiles({ directory: join(config.stateDir, 'logs'), clock })
    const registry = createRegistry({ records: store, directory: join(config.stateDir, 'registry') })
    await registry.registerShipped({})
    const host = await registerHost(store, config)
    const gateway = createConfiguredGateway(config, secrets, clock)
    const settings = toEngineSettings(config, host)
    const trackers = new Map(config.trackers.map((tracker) => [tracker.name, createTracker(tracker)]))
    const deps: EngineDeps = {
      store,
      logs,
      sandboxes: createSandboxSource(overrides.driver ?? (await createDriver(options, clock)), {
        limits: settings.limits,
        count: config.sandbox.warmCount,
        stateDir: config.stateDir,
        now: () => store.now(),
        randomBytes: (count) => randomBytes(count),
        logger,
      }),
      gateway,
      agents: { find: (name) => findAgent(registry, name) },
      forges: createForgeCatalogue(config, secrets, store),
      trackers: { find: (name) => trackers.get(name) },
      settings,
      logger,
      random: {
        number: overrides.randomNumber ?? Math.random,
        bytes: (count) => randomBytes(count),
      },
    }
    const coordinator = new Coordinator(deps, {
      leaseTtlMs: config.lease.ttlMs,
      pollIntervalMs: config.pollIntervalMs,
      handOffMs: HAND_OFF_MS,
      rules: config.routes,
      trackers: config.trackers.map((tracker) => ({
        name: tracker.name,
        project: tracker.project,
        pollIntervalMs: tracker.pollIntervalMs,
        mayNameWorkflow: mayNameWorkflow(tracker, config.routes),
      })),
    })
    const care = createStateCare({
      config,
      store,
      logs,
      forges: deps.forges,
      sweepSandboxes: () => coordinator.sweepSandboxes(),
      version: options.version,
      logger,
    })
    const api = createApi({
      store,
      logs,
      control: coordinator,
      registry: toApiRegistry(registry),
      maintenance: care.api,
      clock: { now: () => store.now() },
      randomBytes: (count) => randomBytes(count),
      logger,
      config: {
        version: options.version,
        allowedHosts: config.listen.allowedHosts,
        stateDirectory: config.stateDir,
        runRetry: toRunRetry(config),
        pendingAgeMaxMs: PENDING_AGE_MAX_MS,
      },
    })
    const close = async () => {
      await Promise.all([...trackers.values()].map((tracker) => tracker.close()))
      await store.close()
    }
    const { maintenance } = care
    return { store, logs, host, registry, gateway, coordinator, maintenance, api, close }
  } catch (error) {
    await store.close()
    throw error
  }
}

function toEngineSettings(config: Config, host: Host): EngineDeps['settings'] {
  const { memoryMib, processCountMax, diskMib, timeoutMs } = config.sandbox
  return {
    hostId: host.id,
    holder: host.holder,
    stateDir: config.stateDir,
    limits: { memoryMib, processCountMax, diskMib },
    attemptTimeoutMs: timeoutMs,
    deadmanMs: config.lease.deadmanMs,
    slotCount: config.slotCount,
    runRetry: config.retry,
  }
}

function toRunRetry({ retry }: Config) {
  return {
    ...DEFAULT_RETRY,
    attemptCountMax: retry.runCountMax,
    backoffMs: retry.backoffMs,
    backoffMaxMs: retry.backoffMaxMs,
  }
}

async function createDriver(
  { config, guestDirectory, logger }: ContextOptions,
  clock: Clock,
): Promise<SandboxDriver> {
  const common = {
    stateDir: config.stateDir,
    guestProgramPath: join(guestDirectory, 'swarm-guest.mjs'),
    clock,
    randomBytes: (count: number) => randomBytes(count),
  }
  switch (config.sandbox.driver) {
    case 'bubblewrap':
      return await createBubblewrapDriver(common)
    case 'none':
      return createNoneDriver({ ...common, warn: (text) => logger.warn({}, text) })
    case 'fake':
      return createFakeDriver(common)
  }
}

function createSandboxSource(
  driver: SandboxDriver,
  warm: Omit<WarmSandboxesInput, 'driver' | 'template'>,
): SandboxSource {
  let prepared: ReturnType<SandboxDriver['prepareTemplate']> | undefined
  const template: SandboxSource['template'] = (signal) => {
    prepared ??= driver.prepareTemplate({}, undefined, signal).catch((error) => {
      prepared = undefined
      throw error
    })
    return prepared
  }
  return { driver, template, warm: new WarmSandboxes({ ...warm, driver, template }) }
}

async function findAgent(registry: Registry, reference: string) {
  const [name = '', version] = reference.split('@')
  const found = await registry.findPackage(name, version)
  return found && { adapter: packageAdapter, package: found }
}
const packageAdapter = createPackageAdapter()

function createConfiguredGateway(config: Config, secrets: Secrets, clock: Clock): Gateway {
  return createGateway({
    hosts: config.egress,
    models: config.models.map((model) => ({
      name: model.name,
      protocol: model.protocol,
      baseUrl: model.baseUrl,
      apiKey:
        model.key === null ? null : (secrets.findModelKey(model.name) ?? missingKey(model.name, secrets)),
      upstreamModel: model.model,
    })),
    now: () => clock.now(),
  })
}

/** Asked for at each request, so that the daemon starts without it and says what is missing when it is needed. */
function missingKey(model: string, secrets: Secrets): { reveal(): never } {
  const setting = `models.${model}.key`
  const problem = secrets.missing.find((missing) => missing.setting === setting)?.problem ?? 'it is missing'
  return {
    reveal() {
      throw new Error(problem)
    },
  }
}

/** Opens nothing before it is asked. Who creates it closes it. */
export function createTracker(tracker: TrackerConfig): Tracker {
  switch (tracker.kind) {
    case 'sqlite-table':
      return createSqliteTableTracker(toMapping({ ...tracker, columns: { ...tracker.columns } }))
  }
}

function createForgeCatalogue(config: Config, secrets: Secrets, store: Store): ForgeCatalogue {
  const mirrorsDir = join(config.stateDir, 'mirrors')
  const forges = new Map<string, Forge>()
  for (const { name, kind, username, hosts } of config.forges) {
    const credentials = {
      find: async () => {
        const secret = secrets.findForgeCredential(name)
        return secret && { username: username ?? 'git', secret: secret.reveal(), hosts }
      },
    }
    const records = toPullRequestRecords(store, name)
    forges.set(
      name,
      kind === 'local'
        ? createLocalForge({ mirrorsDir, records, name })
        : createGitForge({ mirrorsDir, credentials, name }),
    )
  }
  return {
    find: (project: Project) => {
      const forge = forges.get(project.forge)
      if (forge === undefined || project.repositoryUrl === null) return undefined
      const { id: projectId, repositoryUrl, defaultBranch } = project
      const hasCredential = secrets.findForgeCredential(project.forge) !== undefined
      return {
        forge,
        project: {
          projectId,
          repositoryUrl,
          defaultBranch,
          ...(hasCredential ? { credential: project.forge } : {}),
        },
      }
    },
  }
}

/**
 * Pull requests of a forge without a server, kept in the store. That one was merged or closed is recorded by the
 * effect's completion, in one transaction with its ticket; here it is only said.
 */
function toPullRequestRecords(store: Store, forge: string): PullRequestRecords {
  const getByNumber: PullRequestRecords['findByNumber'] = async (projectId, number) => {
    const found = await store.read.findPullRequest({ projectId, forge, number })
    return found && toForgePullRequest(found)
  }
  const getExisting = async (projectId: Project['id'], number: number) => {
    const found = await getByNumber(projectId, number)
    if (found === undefined) throw new Error(`project ${projectId} has no pull request ${number}`)
    return found
  }
  return {
    async saveOpen({ diff, ...draft }) {
      const { projectId, branch, headCommit } = draft
      const before = await store.read.findPullRequest({ projectId, forge, branch })
      if (before !== undefined && before.headCommit === headCommit) {
        return { kind: 'unchanged', pullRequest: toForgePullRequest(before) }
      }
      const saved = await store.write.upsertPullRequest({
        ...draft,
        forge,
        diff: diff.text,
        isDiffTruncated: diff.textTruncated,
        additionCount: diff.insertions,
        deletionCount: diff.deletions,
        changedFiles: diff.files.map((file) => file.path),
        url: null,
      })
      const kind = before?.status === 'open' ? 'updated' : 'opened'
      return { kind, pullRequest: toForgePullRequest(saved) }
    },
    async findByBranch(projectId, branch) {
      const found = await store.read.findPullRequest({ projectId, forge, branch })
      return found && toForgePullRequest(found)
    },
    findByNumber: getByNumber,
    async saveMerged({ projectId, number, headCommit, mergedCommit }) {
      return { ...(await getExisting(projectId, number)), status: 'merged', headCommit, mergedCommit }
    },
    async saveClosed({ projectId, number }) {
      return { ...(await getExisting(projectId, number)), status: 'closed' }
    },
  }
}

function toForgePullRequest(row: PullRequest): ForgePullRequest {
  const { id, number, status, branch, baseBranch, title, body, headCommit } = row
  return {
    id,
    number,
    status,
    branch,
    baseBranch,
    title,
    body,
    headCommit,
    ...(row.url === null ? {} : { url: row.url }),
    ...(row.mergeCommit === null ? {} : { mergedCommit: row.mergeCommit }),
  }
}

function toApiRegistry(registry: Registry): ApiRegistry {
  return {
    registerAgent: ({ path, actor }) => registry.registerAgent(path, { actor }),
    checkAgent: async ({ path }) => (await registry.validateAgent(path)).problems,
    registerWorkflow: ({ text, actor }) => registry.registerWorkflow(text, { actor }),
    checkWorkflow: async ({ text }) => (await registry.validateWorkflow(text)).problems,
  }
}
