/**
 * Several outside agents in one process, to be killed and frozen by a test. What they note goes to standard output, a
 * line of JSON each. They never look at their signal: a result that comes too late is reported all the same.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { createClient, workOnTickets } from '../../src/client/client.ts'

const { SWARM_URL = '', SWARM_TOKEN = '', FLEET = '', AGENT_COUNT = '1' } = process.env
const client = createClient({ baseUrl: SWARM_URL, token: SWARM_TOKEN })
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())

await Promise.all(
  Array.from({ length: Number(AGENT_COUNT) }, (_, index) =>
    workOnTickets(client, {
      holder: `${FLEET}-${index}`,
      leaseTtlMs: 5_000,
      pollMs: 2_000,
      signal: stop.signal,
      work: async ({ run, ticket, progress }) => {
        if (ticket.number % 10 === 0) await progress('begun')
        await delay(20 + Math.random() * 150)
        return { run: run.id, by: `${FLEET}-${index}` }
      },
      onNote: (note) => {
        if (note.kind !== 'trouble') process.stdout.write(`${JSON.stringify(note)}\n`)
      },
    }),
  ),
)
