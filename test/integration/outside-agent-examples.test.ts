/** The example agents as they are copied by people: real processes, spoken to by signals only. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { waitFor, waitForTicket } from '../support/wait-for.ts'

const example = (name: string) => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url))
const STATUSES = { done: '200 complete', released: '200 release', lost: '409' }
const SHELL = {
  name: 'outside-agent.sh',
  command: ['bash', example('outside-agent.sh')],
  says: STATUSES,
  thirdPauseMs: 900,
}
const AGENTS = [
  {
    name: 'outside-agent.ts',
    // Installed it finds the client in `node_modules`, here in the sources.
    command: [process.execPath, '--conditions=swarm-source', example('outside-agent.ts')],
    says: { done: 'done', released: 'released', lost: 'lost' },
    // Its pauses are a part of the whole by chance, so that agents do not come back together.
    thirdPauseMs: 450,
  },
  {
    name: 'outside-agent-fetch.ts',
    command: [process.execPath, example('outside-agent-fetch.ts')],
    says: STATUSES,
    thirdPauseMs: 900,
  },
  SHELL,
]

const COUNT_WORDS = `{ words: (JSON.parse(require('fs').readFileSync(0, 'utf8')).title.split(' ').length) }`
/** Programs by what they do; each is given to the agent as arguments. */
const PROGRAMS = {
  counts: [process.execPath, '-p', `JSON.stringify(${COUNT_WORDS})`],
  fails: ['sh', '-c', 'echo it fell over >&2; exit 3'],
  chatters: ['echo', 'all is well'],
  keepsSilent: ['true'],
  boasts: [process.execPath, '-p', `JSON.stringify({ text: 'x'.repeat(2 ** 20) })`],
  sleeps: ['sleep', '300'],
  takesItsTime: ['sh', '-c', 'sleep 3; echo "{}"'],
  looksForTheToken: [process.execPath, '-p', 'JSON.stringify({ token: process.env.SWARM_TOKEN ?? null })'],
  tellsItsPid: ['sh', '-c', 'echo $$ > pid; exec sleep 300'],
} as const

let server: ApiServer
let secret: string
let agents: ChildProcess[]
beforeEach(async () => {
  agents = []
  server = await startApiServer()
  await server.owner.projects.create({ key: 'WEB', name: 'Web' })
  secret = (await server.owner.tokens.create({ name: 'agent', scopes: ['claim'] })).secret
})
afterEach(async () => {
  for (const agent of agents) agent.kill('SIGKILL')
  await server[Symbol.asyncDispose]()
})

const file = async (title: string) => (await server.owner.tickets.create({ project: 'WEB', title })).key

function start(command: readonly string[], program: keyof typeof PROGRAMS, url = server.url) {
  const [file = '', ...args] = [...command, 'builder-7', ...PROGRAMS[program]]
  const env = { PATH: process.env.PATH, SWARM_URL: url, SWARM_TOKEN: secret, LEASE_TTL_MS: '5000' }
  const child = spawn(file, args, { env, cwd: server.directory, stdio: ['ignore', 'pipe', 'pipe'] })
  agents.push(child)
  const ended = once(child, 'close')
  let output = ''
  child.stdout.on('data', (data) => (output += data))
  child.stderr.on('data', (data) => (output += data))
  return {
    output: () => output,
    /** What it said of tickets, without its trouble on the way */
    told: () => output.split('\n').filter((line) => line.startsWith('WEB-')),
    kill: () => child.kill('SIGKILL'),
    terminate: async () => {
      child.kill('SIGTERM')
      const [code] = await ended
      return code as number | null
    },
  }
}

describe.each(AGENTS)('examples/$name', ({ command, says, thirdPauseMs }) => {
  test('does every ticket, waits, and ends when it is told to', async () => {
    const keys = [await file('-n $(exit)`"'), await file('three')]
    const agent = start(command, 'counts')
    const done = await Promise.all(keys.map((key) => waitForTicket(server.owner, key, 'done')))
    expect(done.map(({ outputs }) => outputs)).toEqual([{ words: 2 }, { words: 1 }])
    expect(await agent.terminate(), agent.output()).toBe(0)
    expect(agent.output().trim().split('\n')).toEqual(keys.map((key) => `${key}: ${says.done}`))
  })

  test.each([
    ['fails', 'agent_failed', 'it fell over'],
    ['chatters', /result_invalid|agent_failed/, 'JSON'],
    ['keepsSilent', /result_invalid|agent_failed/, 'JSON'],
    ['boasts', 'result_invalid', '1048576 bytes'],
  ] as const)('a program that %s fails the run with a reason', async (program, reason, detail) => {
    const key = await file('work')
    const agent = start(command, program)
    const run = await waitFor('the end of the run', async () => {
      const [newest] = (await server.owner.runs.list({ ticket: key })).items
      return newest?.status === 'failed' ? newest : undefined
    })
    expect(run.reason).toMatch(reason)
    expect(run.detail).toContain(detail)
    await agent.terminate()
  })

  test('told to stop in the middle, it ends its program and gives the ticket back', async () => {
    const key = await file('work')
    const agent = start(command, 'sleeps')
    await waitForTicket(server.owner, key, 'running')
    expect(await agent.terminate(), agent.output()).toBe(0)
    expect(agent.output()).toContain(`${key}: ${says.released}`)
    expect((await server.owner.tickets.get(key)).status).toBe('pending')
  })

  test('a ticket that is canceled meanwhile ends its program', async () => {
    const key = await file('work')
    const agent = start(command, 'sleeps')
    await waitForTicket(server.owner, key, 'running')
    await server.owner.tickets.cancel(key)
    await waitFor('the report', async () =>
      agent.output().includes(`${key}: ${says.lost}`) ? true : undefined,
    )
    expect(await agent.terminate(), agent.output()).toBe(0)
    expect((await server.owner.tickets.get(key)).status).toBe('canceled')
  })

  test('P1: answers that are lost on the way make no second claim and no second result', async () => {
    const keys = [await file('one'), await file('two')]
    const network = await startForgetfulProxy(server.url, (response) => response.destroy())
    const agent = start(command, 'counts', urlOf(network))
    await Promise.all(keys.map((key) => waitForTicket(server.owner, key, 'done')))
    await agent.terminate()
    network.close()
    expect((await server.owner.runs.list()).items.map(({ number }) => number)).toEqual([1, 1])
  })

  test.each<[string, Spoil]>([
    [
      'are cut off in the middle',
      (response, body) => {
        response.writeHead(200, { 'content-length': body.length + 1 })
        response.write(body, () => response.destroy())
      },
    ],
    ['come from something else in between', (response) => response.writeHead(200).end('<h1>Welcome</h1>')],
  ])('P1: answers that %s, also to heartbeats, are asked for again', async (_name, spoil) => {
    const key = await file('work')
    const network = await startForgetfulProxy(server.url, spoil)
    const agent = start(command, 'takesItsTime', urlOf(network))
    await waitForTicket(server.owner, key, 'done')
    expect(await agent.terminate(), agent.output()).toBe(0)
    network.close()
    expect((await server.owner.runs.list()).items.map(({ number }) => number)).toEqual([1])
    expect(agent.told()).toEqual([`${key}: ${says.done}`])
  })

  test('overload is waited out, longer each time, whatever Retry-After says', async () => {
    const askedAt: number[] = []
    const network = createServer((request, response) => {
      if (request.method === 'POST') askedAt.push(performance.now())
      response.writeHead(503, { 'retry-after': 'Wed, 21 Oct 2099 07:28:00 GMT' }).end()
    }).listen(0, '127.0.0.1')
    await once(network, 'listening')
    start(command, 'counts', urlOf(network))
    await waitFor('the fourth try', async () => (askedAt.length >= 4 ? true : undefined))
    network.close()
    const [, , third = 0, fourth = 0] = askedAt
    expect(fourth - third).toBeGreaterThan(thirdPauseMs)
  })

  test('the program does not get the token', async () => {
    const key = await file('work')
    const agent = start(command, 'looksForTheToken')
    expect((await waitForTicket(server.owner, key, 'done')).outputs).toEqual({ token: null })
    await agent.terminate()
  })
})

test('U5: when the shell’s agent is killed, its background jobs keep neither ticket nor program', async () => {
  const key = await file('work')
  const agent = start(SHELL.command, 'tellsItsPid')
  const pid = await waitFor('the program', async () => {
    const text = await readFile(join(server.directory, 'pid'), 'utf8')
    return text.endsWith('\n') ? Number(text) : undefined
  })
  agent.kill()
  await waitFor('its program ends', async () => (isAlive(pid) ? undefined : true))
  server.clock.advance(5_001)
  await server.store.write.expireLeases({ runCountMax: 5, retryDelayMs: 0 })
  expect((await server.owner.tickets.get(key)).status).toBe('pending')
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('U2: examples of every kind share the tickets', async () => {
  const keys = await Promise.all(Array.from({ length: 6 }, (_, index) => file(`ticket ${index}`)))
  const started = AGENTS.map(({ command }) => start(command, 'counts'))
  await Promise.all(keys.map((key) => waitForTicket(server.owner, key, 'done')))
  for (const agent of started) await agent.terminate()
  const lines = started.flatMap(({ told }) => told())
  expect(lines.map((line) => line.replace(/:.*/, '')).toSorted()).toEqual(keys.toSorted())
})

const urlOf = (network: Server) => `http://127.0.0.1:${(network.address() as AddressInfo).port}`

type Spoil = (response: ServerResponse, body: Buffer) => void

/** Passes every request on, and spoils the first answer to each of them. */
async function startForgetfulProxy(url: string, spoil: Spoil): Promise<Server> {
  const seen = new Set<string>()
  const proxy = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const headers = Object.entries(request.headers).filter(([name]) => /^(auth|content-type|idem)/.test(name))
    const answer = await fetch(`${url}${request.url}`, {
      method: request.method ?? 'POST',
      headers: headers.map(([name, value]) => [name, String(value)]),
      ...(request.method === 'GET' ? {} : { body: Buffer.concat(chunks) }),
    })
    const body = Buffer.from(await answer.arrayBuffer())
    const key = `${request.url} ${request.headers['idempotency-key']}`
    if (!seen.has(key)) {
      seen.add(key)
      spoil(response, body)
      return
    }
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(body)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  return proxy
}
