/**
 * An agent that Swarm does not start: it claims tickets, has a program of yours do each one, and reports what came of
 * it. Nothing but Node (22.18 or newer) and HTTP, with every call of the loop in sight: copy this file to where the
 * agent lives, and change it. With the client of the package it is half as long, see outside-agent.ts.
 *
 *   SWARM_URL=http://127.0.0.1:7377 SWARM_TOKEN=swm_… node outside-agent-fetch.ts builder-7 ./do-ticket --fast
 *
 * The program reads the ticket as JSON from its standard input. Exit code 0: done, and the JSON object that it printed
 * is the outputs. Any other: failed. SIGTERM to the agent gives the ticket back.
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

const { SWARM_URL = 'http://127.0.0.1:7377', SWARM_TOKEN = '', LEASE_TTL_MS = '60000' } = process.env
const [holder = '', program = '', ...args] = process.argv.slice(2)
if (program === '') throw new Error('usage: outside-agent-fetch.ts <holder> <program> [<argument> …]')
const leaseTtlMs = Number(LEASE_TTL_MS)
// Its program need not have it.
delete process.env.SWARM_TOKEN
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort())

type Claim = { ticket: { key: string }; run: { id: string }; lease: { epoch: number } }
type Answer = { status: number; text: string; json: unknown; retryAfter: string | null }

while (!stop.signal.aborted) {
  const answer = await send('tickets/claim', { leaseTtlMs }, randomUUID())
  if (answer.status === 204) await delay(10_000, undefined, { signal: stop.signal }).catch(() => undefined)
  else if (answer.status === 200) await workOn(answer.json as Claim)
  else throw new Error(`the claim was refused: ${answer.text}`)
}

async function workOn({ ticket, run, lease: { epoch } }: Claim): Promise<void> {
  const lost = new AbortController()
  const beat = setInterval(async () => {
    const answer = await post(`runs/${run.id}/heartbeat`, { epoch, leaseTtlMs }).catch(() => undefined)
    // 409: the lease has passed on or the ticket was canceled. What we do from here on would change nothing.
    if (answer?.status === 409) lost.abort()
    if ((answer?.json as { isCancelRequested?: boolean } | undefined)?.isCancelRequested) lost.abort()
  }, leaseTtlMs / 3)
  const signal = AbortSignal.any([stop.signal, lost.signal])
  // The key makes a report count once, however often it has to be sent.
  const report = async (verb: string, body: object) => {
    const answer = await send(`runs/${run.id}/${verb}`, { epoch, ...body }, `${run.id}-${verb}`)
    console.log(`${ticket.key}: ${answer.status} ${verb}`)
    return answer
  }
  try {
    const answer = await runProgram(JSON.stringify(ticket), signal).then(
      (outputs) => report('complete', { outputs }),
      (error: Error) =>
        signal.aborted ? report('release', {}) : report('fail', { detail: error.message.slice(-2000) }),
    )
    // The outputs were refused, too large perhaps: say so, or the ticket stays held until the lease ends.
    if (answer.status === 422 || answer.status === 413)
      await report('fail', { reason: 'result_invalid', detail: answer.text.slice(0, 2000) })
  } finally {
    clearInterval(beat)
  }
}

async function runProgram(input: string, signal: AbortSignal): Promise<unknown> {
  const running = promisify(execFile)(program, args, { signal, maxBuffer: 2 ** 23 })
  // A program may end without having read the ticket.
  running.child.stdin?.on('error', () => undefined).end(input)
  return JSON.parse((await running).stdout)
}

/** Sends until somebody answers: the network, a restart and a full disk are waited out, longer each time. */
async function send(path: string, body: object, key: string): Promise<Answer> {
  for (let tries = 0; ; tries += 1) {
    const answer = await post(path, body, key).catch(() => undefined)
    if (answer !== undefined && answer.status !== 429 && answer.status < 500) return answer
    if (stop.signal.aborted && tries >= 3) throw new Error(`nobody answers at ${SWARM_URL}`)
    // A server may ask for seconds; something in between may ask for a date, or for a day.
    const askedMs = Math.min(Number(answer?.retryAfter) || 0, 60) * 1000
    await delay(Math.max(askedMs, Math.min(250 * 2 ** tries, 15_000)))
  }
}

/** @throws Error when there was no answer, or only a part of one, or none of Swarm's */
async function post(path: string, body: object, key?: string): Promise<Answer> {
  const headers = { authorization: `Bearer ${SWARM_TOKEN}`, 'content-type': 'application/json' }
  const answer = await fetch(`${SWARM_URL}/v1/${path}`, {
    method: 'POST',
    headers: key === undefined ? headers : { ...headers, 'idempotency-key': key },
    body: JSON.stringify({ holder, ...body }),
    signal: AbortSignal.timeout(30_000),
  })
  const { status } = answer
  const text = await answer.text()
  const json = status === 200 ? JSON.parse(text) : undefined
  return { status, text, json, retryAfter: answer.headers.get('retry-after') }
}
