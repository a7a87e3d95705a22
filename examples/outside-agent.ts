/**
 * An agent that Swarm does not start: it claims tickets, has a program of yours do each one, and reports what came of
 * it. The client keeps the lease, repeats reports until they are recorded, and waits out restarts of the coordinator.
 *
 *   npm install swarm
 *   SWARM_URL=http://127.0.0.1:7377 SWARM_TOKEN=swm_… node outside-agent.ts builder-7 ./do-ticket --fast
 *
 * The program reads the ticket as JSON from its standard input. Exit code 0: done, and the JSON object that it printed
 * is the outputs. Any other: failed. SIGTERM to the agent gives the ticket back.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { createClient, TicketFailed, workOnTickets } from 'swarm/client'

const { SWARM_URL = 'http://127.0.0.1:7377', SWARM_TOKEN = '', LEASE_TTL_MS = '60000' } = process.env
const [holder = '', program = '', ...args] = process.argv.slice(2)
if (program === '') throw new Error('usage: outside-agent.ts <holder> <program> [<argument> …]')
// Its program need not have it.
delete process.env.SWARM_TOKEN
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort())

const client = createClient({ baseUrl: SWARM_URL, token: SWARM_TOKEN })
await workOnTickets(client, {
  holder,
  leaseTtlMs: Number(LEASE_TTL_MS),
  signal: stop.signal,
  // `project`, `labels` and `types` beside these narrow down what it takes.
  work: async ({ ticket, signal, progress }) => {
    await progress(`${program} begins`)
    return await runProgram(JSON.stringify(ticket), signal)
  },
  onNote: (note) => {
    if (note.kind === 'trouble') console.error(`trying again: ${note.error}`)
    else if (note.kind !== 'claimed') console.log(`${note.ticketKey}: ${note.kind}`)
  },
})

/** @throws TicketFailed with the last of what the program said, when it failed or printed no JSON object */
async function runProgram(input: string, signal: AbortSignal): Promise<Record<string, never>> {
  const running = promisify(execFile)(program, args, { signal, maxBuffer: 2 ** 23 })
  // A program may end without having read the ticket.
  running.child.stdin?.on('error', () => undefined).end(input)
  const { stdout } = await running.catch((error: Error) => {
    throw new TicketFailed(error.message.slice(-2000))
  })
  try {
    return JSON.parse(stdout)
  } catch {
    throw new TicketFailed(`no JSON: ${stdout.slice(-2000)}`, { reason: 'result_invalid' })
  }
}
