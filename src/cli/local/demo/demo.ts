import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, type SwarmClient } from '../../../client/client.ts'
import type { Config } from '../../../config/config.ts'
import { loadConfig } from '../../../config/load-config.ts'
import { loadSecrets } from '../../../config/secrets.ts'
import { type Daemon, startDaemon } from '../../../main.ts'
import { createUnixFetch } from '../../../platform/fetch-unix.ts'
import { createLogger } from '../../../platform/log.ts'
import type { CliContext } from '../../context.ts'
import { EXIT, type ExitCode } from '../../exit-codes.ts'
import { renderTable } from '../../table.ts'
import { createDemoRepository, scriptDemoRepair } from './demo-repository.ts'
import { type DemoTickets, fileDemoTickets, REPAIR_TITLE } from './demo-tickets.ts'
import { type DemoRow, judgeDemo, loadRows, toMs } from './demo-verdict.ts'
import { followDemo } from './follow-demo.ts'
import { installRequirements } from './install-requirements.ts'
import { pause, playReviewer } from './play-reviewer.ts'
import { startScriptedModel } from './scripted-model.ts'

export type DemoOptions = {
  /** Installs missing Debian packages with sudo */
  readonly install?: boolean
  /** Uses the model routes of the user's own configuration instead of the scripted model */
  readonly model?: boolean
  /** Removes everything at the end; otherwise the state stays for a closer look */
  readonly clean?: boolean
}

const TIMEOUT_MS = 5 * 60_000
const POLL_MS = 300
/** Shown in place of a real model's name */
const SCRIPTED = 'scripted'

/**
 * The main job on real input: a coordinator, a repository with a failing test, five tickets. Agent, sandbox, gateway,
 * git and forge are real; the model plays a script unless the user brings one.
 * @returns 0 only when everything that the table says really happened
 */
export async function runDemo(context: CliContext, options: DemoOptions): Promise<ExitCode> {
  const { output } = context
  if (!(await installAll(context, options))) return EXIT.failed
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(TIMEOUT_MS)])
  const directory = await mkdtemp(join(tmpdir(), 'swarm-demo-'))
  const model = await startScriptedModel({ scripts: [scriptDemoRepair(REPAIR_TITLE)], apiKey: 'demo-key' })
  let daemon: Daemon | undefined
  try {
    const repository = await createDemoRepository(directory, signal)
    const configPath = await writeConfig(directory, model.url)
    const config = await loadDemoConfig(context, configPath, options)
    output.message(`Everything of this demo is in ${directory}`)
    daemon = await startDaemon({
      config,
      secrets: await loadSecrets(config, context.environment),
      logger: createLogger({ level: 'error' }),
    })
    const client = createClient({ baseUrl: 'http://localhost', fetch: createUnixFetch(daemon.apiSocketPath) })
    const tickets = await fileDemoTickets(client, repository.path)
    const rows = await watchUntilAllEnded(context, client, tickets, signal)
    const findings = await judgeDemo(tickets, rows, repository, signal)
    showRows(context, rows, options.model === true ? 'your model' : SCRIPTED)
    for (const { fact, ok, seen } of findings)
      output.message(`${ok ? '✓' : '✗'} ${fact}${ok ? '' : `: ${seen}`}`)
    const isTrue = findings.every(({ ok }) => ok)
    if (options.clean !== true) showNextCommands(context, configPath, directory)
    return isTrue ? EXIT.ok : EXIT.failed
  } catch (error) {
    if (!signal.aborted) throw error
    context.signal.throwIfAborted()
    output.message(`The demo did not end within ${TIMEOUT_MS / 1000} s; its state is in ${directory}`)
    return EXIT.failed
  } finally {
    await daemon?.stop({ mode: 'drain' })
    await model.close()
    if (options.clean === true) await rm(directory, { recursive: true, force: true })
  }
}

async function installAll(context: CliContext, options: DemoOptions): Promise<boolean> {
  return await installRequirements({
    install: options.install === true,
    path: context.environment.PATH || SYSTEM_PATH,
    home: context.places.home,
    signal: context.signal,
    say: (text) => context.output.message(text),
  })
}

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

async function writeConfig(directory: string, modelUrl: string): Promise<string> {
  const path = join(directory, 'config.yaml')
  await mkdir(join(directory, 'state'), { mode: 0o700 })
  await writeFile(join(directory, 'model-key'), 'demo-key\n', { mode: 0o600 })
  const text = `state-dir: ${directory}/state
listen: { port: null }
slots: 2
models:
  default:
    provider: anthropic
    base-url: ${modelUrl}
    model: ${SCRIPTED}
    key: { file: ${directory}/model-key }
`
  await writeFile(path, text)
  return path
}

/** The user's own model routes, and nothing else of the user's configuration. */
async function loadDemoConfig(
  context: CliContext,
  configPath: string,
  options: DemoOptions,
): Promise<Config> {
  const { environment, places } = context
  const { config } = await loadConfig({ configPath, environment: {}, places })
  if (options.model !== true) return config
  const own = await loadConfig({ configPath: context.globals.config, environment, places })
  return { ...config, models: own.config.models }
}

const ENDED = ['done', 'failed', 'canceled']

async function watchUntilAllEnded(
  context: CliContext,
  client: SwarmClient,
  tickets: DemoTickets,
  signal: AbortSignal,
): Promise<readonly DemoRow[]> {
  const followed = followDemo(context, client, signal)
  const review = playReviewer(client, tickets, (text) => context.output.message(`        ${text}`), signal)
  review.catch(() => {})
  try {
    for (;;) {
      const all = await Promise.all(Object.values(tickets).map((key) => client.tickets.get(key, { signal })))
      if (all.every((ticket) => ENDED.includes(ticket.status))) break
      await pause(POLL_MS, signal)
    }
    await review
  } finally {
    await followed.end()
  }
  return await loadRows(client, tickets)
}

function showRows({ output, terminal }: CliContext, rows: readonly DemoRow[], model: string): void {
  if (output.format === 'json') {
    output.json(rows.map(({ ticket, pullRequest }) => ({ ticket, pullRequest })))
    return
  }
  const lines = renderTable(
    rows,
    [
      { title: 'TICKET', value: ({ ticket }) => ticket.key },
      { title: 'STATUS', value: ({ ticket }) => toStatus(ticket) },
      { title: 'AGENT', value: (row) => toAgent(row, model) },
      { title: 'SANDBOX', value: toSandbox },
      { title: 'BRANCH', value: ({ ticket }) => ticket.branch ?? '-', isFlexible: true },
      { title: 'PULL REQUEST', value: toPullRequest },
      { title: 'TIME', value: toTime },
    ],
    { width: terminal.columnCount, colors: output.colors },
  )
  for (const line of lines) output.line(line)
}

function toStatus(ticket: DemoRow['ticket']): string {
  if (ticket.deadAt !== null) return `${ticket.status}: ${ticket.reason} (dead letter)`
  return ticket.reason === null ? ticket.status : `${ticket.status}: ${ticket.reason}`
}

function toAgent({ run }: DemoRow, model: string): string {
  const names = (run?.steps ?? []).map((step) => (step.kind === 'agent' ? step.inputs?.agent : undefined))
  const agents = [...new Set(names.filter((name) => typeof name === 'string'))]
  if (agents.length === 0) return 'command'
  return agents.map((name) => (name === 'coder' ? `coder (${model})` : name)).join(', ')
}

function toSandbox({ run }: DemoRow): string {
  const sandboxes = run?.sandboxes ?? []
  const [first] = sandboxes
  return first === undefined ? '-' : `${first.driver} ×${sandboxes.length}`
}

function toPullRequest({ pullRequest }: DemoRow): string {
  return pullRequest === undefined ? '-' : `#${pullRequest.number} ${pullRequest.status}`
}

function toTime({ ticket }: DemoRow): string {
  if (ticket.finishedAt === null) return '-'
  return `${((toMs(ticket.finishedAt) - toMs(ticket.createdAt)) / 1000).toFixed(1)} s`
}

function showNextCommands({ output }: CliContext, configPath: string, directory: string): void {
  output.message(`
To look closer, start the coordinator on the same state:

  npm run swarm -- --config ${configPath} up --detach
  npm run swarm -- --config ${configPath} ticket list
  npm run swarm -- --config ${configPath} pr list
  npm run swarm -- --config ${configPath} ticket dead list
  npm run swarm -- --config ${configPath} events
  npm run swarm -- --config ${configPath} down
  git --git-dir ${directory}/cart.git log --graph --oneline main

and remove it with: rm -r ${directory}`)
}
