/** Tickets through the whole daemon in a few words: register a workflow, file a ticket, wait for its end. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Writable } from 'node:stream'
import { stringify } from 'yaml'
import type { SwarmClient } from '../../src/client/client.ts'
import { createLogger, type Logger } from '../../src/platform/log.ts'
import { waitFor } from './wait-for.ts'

export type Ticket = Awaited<ReturnType<SwarmClient['tickets']['get']>>
export type Run = Awaited<ReturnType<SwarmClient['runs']['get']>>
type TicketInput = Parameters<SwarmClient['tickets']['create']>[0]
type YamlStep = { readonly id: string; readonly kind: string } & Readonly<Record<string, unknown>>

/** One attempt and no more: a failure is seen at once. */
export const ONCE = { max: 0 } as const
const END_TIMEOUT_MS = 20_000
const ENDED = ['done', 'failed', 'canceled']

/** Registers a workflow made of these steps; `more` is what stands beside them. */
export async function registerSteps(
  client: SwarmClient,
  name: string,
  steps: readonly YamlStep[],
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const text = stringify({ name, version: 1, ...more, steps }, { aliasDuplicateObjects: false })
  await client.workflows.register({ text })
}

/** Files a ticket and waits for its end, whatever it is. */
export async function endTicket(
  client: SwarmClient,
  input: TicketInput,
  timeoutMs: number = END_TIMEOUT_MS,
): Promise<{ ticket: Ticket; run: Run }> {
  const { key } = await client.tickets.create(input)
  return await waitForEnd(client, key, timeoutMs)
}

/** The ticket once it is done, failed or canceled, with its last run. */
export async function waitForEnd(
  client: SwarmClient,
  key: string,
  timeoutMs: number = END_TIMEOUT_MS,
): Promise<{ ticket: Ticket; run: Run }> {
  const ticket = await waitForTicketEnd(client, key, timeoutMs)
  return { ticket, run: await getLastRun(client, key) }
}

/** The same for a ticket that may never have had a run. */
export async function waitForTicketEnd(
  client: SwarmClient,
  key: string,
  timeoutMs: number = END_TIMEOUT_MS,
): Promise<Ticket> {
  return await waitFor(
    `the end of ${key}`,
    async () => {
      const seen = await client.tickets.get(key)
      return ENDED.includes(seen.status) ? seen : undefined
    },
    timeoutMs,
  )
}

/** The newest run that the ticket itself began. */
export async function getLastRun(client: SwarmClient, key: string): Promise<Run> {
  const { items } = await client.runs.list({ ticket: key })
  const own = items.filter((run) => run.parentStepInstanceId === null)
  const last = own.toSorted((a, b) => b.number - a.number)[0]
  if (last === undefined) throw new Error(`${key} has no run`)
  return await client.runs.get(last.id)
}

export function getStep(run: Run, key: string): Run['steps'][number] {
  const step = run.steps.find((candidate) => candidate.key === key)
  if (step === undefined) {
    throw new Error(`run ${run.id} has no step ${key}: ${run.steps.map((other) => other.key).join(', ')}`)
  }
  return step
}

/** What an attempt printed. */
export async function readAttemptLog(
  client: SwarmClient,
  run: Run,
  stepKey: string,
  attempt = 1,
): Promise<string> {
  return await new Response(await client.runs.readLog({ runId: run.id, stepKey, attempt })).text()
}

/** Writes the files of an agent package; gives the folder, to be registered. */
export async function writeAgentPackage(
  directory: string,
  manifest: Readonly<Record<string, unknown>> & { readonly name: string },
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const path = join(directory, manifest.name)
  const all = {
    ...files,
    'agent.yaml': stringify({ version: '1.0.0', description: 'For a test', ...manifest }),
  }
  for (const [name, content] of Object.entries(all)) {
    await mkdir(dirname(join(path, name)), { recursive: true })
    await writeFile(join(path, name), content)
  }
  return path
}

/** Host processes whose command line holds this text: what a run left would be among them. */
export async function listProcessesWith(text: string): Promise<readonly number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (line.includes(text)) found.push(Number(name))
  }
  return found
}

/** A logger that keeps its lines, of every level. */
export function createLogCapture(): { readonly logger: Logger; text(): string } {
  const chunks: string[] = []
  const destination = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk))
      done()
    },
  })
  return { logger: createLogger({ level: 'debug', destination }), text: () => chunks.join('') }
}
