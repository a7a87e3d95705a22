/**
 * An agent that Swarm does not start: it claims a ticket, tells that it lives, does the work, gives the result.
 * Nothing but HTTP. SWARM_URL and SWARM_TOKEN name the daemon; the token needs the scope `claim`.
 *
 *   node examples/outside-agent.ts builder-7
 */
import { fileURLToPath } from 'node:url'

export type OutsideAgent = {
  readonly url: string
  readonly token: string
  /** The name it gives itself; the same in every call of one run */
  readonly holder: string
  readonly leaseTtlMs: number
  /** Does the work; the signal aborts when somebody asks for its end or has taken the run over */
  work(ticket: { key: string; title: string; body: string }, signal: AbortSignal): Promise<object>
}

/** Claims one ticket and takes it to its end. Gives its key, or `undefined` when there is nothing to do. */
export async function workOnOneTicket(agent: OutsideAgent): Promise<string | undefined> {
  const claimed = await call(agent, '/v1/tickets/claim', { leaseTtlMs: agent.leaseTtlMs })
  if (claimed.status === 204) return undefined
  const { ticket, run, lease } = (await claimed.json()) as Claim
  const stop = new AbortController()
  const report = (verb: string, body: object = {}) =>
    call(agent, `/v1/runs/${run.id}/${verb}`, { epoch: lease.epoch, ...body })
  const beat = setInterval(async () => {
    const answer = await report('heartbeat', { leaseTtlMs: agent.leaseTtlMs }).catch(() => undefined)
    // 409: the lease has passed to someone else. What we do from here on would change nothing.
    if (answer?.status === 409) stop.abort()
    if (answer?.ok && ((await answer.json()) as { isCancelRequested: boolean }).isCancelRequested)
      stop.abort()
  }, agent.leaseTtlMs / 3)
  try {
    const outputs = await agent.work(ticket, stop.signal)
    await report('complete', { outputs })
  } catch (error) {
    if (stop.signal.aborted) await report('release')
    else await report('fail', { reason: 'agent_failed', detail: String(error) })
  } finally {
    clearInterval(beat)
  }
  return ticket.key
}

type Claim = {
  ticket: { key: string; title: string; body: string }
  run: { id: string }
  lease: { epoch: number }
}

async function call(agent: OutsideAgent, path: string, body: object): Promise<Response> {
  return await fetch(`${agent.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${agent.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ holder: agent.holder, ...body }),
    signal: AbortSignal.timeout(30_000),
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { SWARM_URL: url = 'http://127.0.0.1:7377', SWARM_TOKEN: token = '' } = process.env
  const holder = process.argv[2] ?? 'outside-agent'
  const work: OutsideAgent['work'] = async ({ title }) => ({ words: title.split(/\s+/).length })
  const key = await workOnOneTicket({ url, token, holder, leaseTtlMs: 60_000, work })
  console.log(key === undefined ? 'nothing to do' : `${key} is done`)
}
