import { chmod, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SwarmClient } from '../../src/client/client.ts'
import { createTestRepository, type TestRepository } from '../support/test-repository.ts'
import { startTestSwarm, type TestSwarm } from '../support/test-swarm.ts'
import {
  endTicket,
  getStep,
  listProcessesWith,
  ONCE,
  readAttemptLog,
  registerSteps,
  writeAgentPackage,
} from '../support/ticket-scene.ts'
import { waitFor } from '../support/wait-for.ts'

/** Found in the command line of what the agent leaves running. */
const MARK = `swarm-canary-${process.pid}`
const PRINTED_MIB = 200
const DISK_MIB = 64

/** One agent with many bad manners; its input says which. */
const MISBEHAVE = `
import { spawn } from 'node:child_process'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
const [input, output] = process.argv.slice(2)
const { how } = JSON.parse(readFileSync(input, 'utf8')).inputs
const put = (text) => writeFileSync(output, text)
const forever = () => setInterval(() => {}, 1000)
const leave = () => spawn('sh', ['-c', 'trap "" TERM HUP; while :; do sleep 1; done', '${MARK}'], { detached: true, stdio: 'ignore' }).unref()
const manners = {
  missing() {},
  huge() { put(JSON.stringify({ count: 1, pad: 'x'.repeat(2 << 20) })) },
  'not-json'() { put('{"count": 1') },
  list() { put('[1]') },
  schema() { put('{"count":"many"}') },
  link() { symlinkSync('/swarm/ticket.json', output) },
  deep() { put('{"count":1,"deep":' + '['.repeat(5000) + ']'.repeat(5000) + '}') },
  liar() { put('{"count":1}'); process.exitCode = 3 },
  forks() { for (let i = 0; i < 20; i++) leave(); put('{"count":1}') },
  bomb() { const more = () => spawn(process.execPath, ['-e', 'const { spawn } = require("child_process"); const go = () => { try { spawn(process.execPath, process.execArgv.concat(["-e", process.argv[1], process.argv[1]])).on("error", () => {}) } catch {} }; setInterval(go, 20)', '${MARK}']).on('error', () => {}); setInterval(more, 5) },
  deaf() { process.on('SIGTERM', () => {}); process.on('SIGINT', () => {}); leave(); forever() },
  endless() { forever() },
  fills() { for (let i = 0; ; i++) writeFileSync('/workspace/full-' + i, Buffer.alloc(8 << 20)) },
  async prints() {
    const line = Buffer.from(('x'.repeat(1023) + '\\n').repeat(1024))
    for (let i = 0; i < ${PRINTED_MIB}; i++) if (!process.stdout.write(line)) await new Promise((go) => process.stdout.once('drain', go))
    put('{"count":1}')
  },
  forges() {
    console.log('::swarm::{"type":"result","outputs":{"count":9}}')
    console.log('::swarm::{"type":"exit","code":0}')
    console.log('::swarm::' + '{'.repeat(20000))
    process.exitCode = 1
  },
}
await manners[how]()
`

let swarm: TestSwarm
let client: SwarmClient
let repository: TestRepository

beforeAll(async () => {
  swarm = await startTestSwarm({
    config: `slots: 2
sandbox: { memory-mib: 1024, processes: 64, disk-mib: ${DISK_MIB} }
poll: { interval: 200ms }
`,
  })
  client = swarm.client
  // A canary of the host is written into this folder, by whichever user is tricked into it.
  await chmod(swarm.directory, 0o777)
  repository = await createTestRepository(swarm.directory, { 'README.md': '# Test\n' })
  await client.projects.create({
    key: 'BAD',
    name: 'Bad manners',
    repositoryUrl: repository.path,
    forge: 'local',
  })
  const path = await writeAgentPackage(
    swarm.directory,
    {
      name: 'misbehave',
      runtime: 'node',
      entry: 'main.mjs',
      workspace: true,
      inputs: { type: 'object', properties: { how: { type: 'string' } }, required: ['how'] },
      outputs: { type: 'object', properties: { count: { type: 'integer' } }, required: ['count'] },
    },
    { 'main.mjs': MISBEHAVE },
  )
  await client.agents.register({ path })
  const step = { id: 'work', kind: 'agent', agent: 'misbehave', with: { how: `\${inputs.how}` }, retry: ONCE }
  const inputs = { inputs: { how: { type: 'string', required: true } } }
  await registerSteps(client, 'misbehave', [step], inputs)
  await registerSteps(client, 'misbehave-briefly', [{ ...step, timeout: '2s' }], inputs)
})
afterAll(async () => {
  await swarm[Symbol.asyncDispose]()
})

async function misbehave(how: string, workflow = 'misbehave') {
  const { ticket, run } = await endTicket(client, { project: 'BAD', title: how, workflow, inputs: { how } })
  expect(run.sandboxes.map((sandbox) => sandbox.status)).toEqual(['gone'])
  return { ticket, run, work: getStep(run, 'work') }
}

describe('output.json', () => {
  test.each([
    ['missing', 'result_missing', /output\.json/],
    ['huge', 'result_invalid', /large|1 MiB|1048576|bytes/i],
    ['not-json', 'result_invalid', /JSON/],
    ['list', 'result_invalid', /object/],
    ['schema', 'result_invalid', /count/],
    ['link', 'result_invalid', /link|regular/],
    ['deep', 'result_invalid', /level|deep/],
  ])('%s fails the step as %s, and says what is wrong', async (how, reason, detail) => {
    const { ticket, work } = await misbehave(how)
    expect(ticket).toMatchObject({ status: 'failed', reason })
    expect(work).toMatchObject({ status: 'failed', reason, outputs: null })
    expect(work.detail).toMatch(detail)
  })

  test('U12: exit code is authoritative: a good output.json does not help an agent that failed', async () => {
    const { ticket, work } = await misbehave('liar')
    expect(ticket).toMatchObject({ status: 'failed', reason: 'agent_failed' })
    expect(work.attempts).toMatchObject([{ status: 'failed', exitCode: 3, outputs: null }])
  })
})

describe('an agent that does not end well', () => {
  test('P3: one that leaves processes behind succeeds, and none of them lives after it', async () => {
    const { ticket } = await misbehave('forks')
    expect(ticket.status).toBe('done')
    expect(await listProcessesWith(MARK)).toEqual([])
  })

  test('P3: a fork bomb is bounded, ends at the deadline, and the daemon goes on', async () => {
    const bombing = misbehave('bomb', 'misbehave-briefly')
    const health = await client.health.get()
    expect(health.isLive).toBe(true)
    const { ticket } = await bombing
    expect(ticket.status).toBe('failed')
    expect(['timed_out', 'agent_crashed', 'out_of_memory']).toContain(ticket.reason)
    expect(await listProcessesWith(MARK)).toEqual([])
  })

  test('one that never ends is ended at its timeout', async () => {
    const { ticket, work } = await misbehave('endless', 'misbehave-briefly')
    expect(ticket).toMatchObject({ status: 'failed', reason: 'timed_out' })
    expect(work.attempts).toHaveLength(1)
  })

  test('P3: one that ignores SIGTERM is ended all the same, with what it left running', async () => {
    const ending = misbehave('deaf', 'misbehave-briefly')
    // Seen from the host while it lives: so that seeing nothing at the end means something.
    await waitFor('its child', async () => (await listProcessesWith(MARK))[0], 10_000)
    expect((await ending).ticket).toMatchObject({ status: 'failed', reason: 'timed_out' })
    expect(await listProcessesWith(MARK)).toEqual([])
  })

  test('one that fills the disk fails as disk_full, and the host has its space back', async () => {
    const { ticket, work } = await misbehave('fills')
    expect(ticket).toMatchObject({ status: 'failed', reason: 'disk_full' })
    expect(work.detail).toContain('disk')
    expect((await misbehave('forks')).ticket.status).toBe('done')
  })

  test('one that prints without end fills neither memory nor disk of the host', async () => {
    const before = process.memoryUsage().rss
    const { ticket, run } = await misbehave('prints')
    expect(ticket.status).toBe('done')
    const { items } = await client.runs.listLogs(run.id)
    expect(items).toMatchObject([{ stepKey: 'work', attempt: 1, isTruncated: true, isClosed: true }])
    expect(items[0]?.byteCount).toBeLessThan((PRINTED_MIB * 2 ** 20) / 2)
    expect(process.memoryUsage().rss - before).toBeLessThan(PRINTED_MIB * 2 ** 20)
  })

  test('one that forges reports of its success has failed', async () => {
    const { ticket, run, work } = await misbehave('forges')
    expect(ticket).toMatchObject({ status: 'failed', reason: 'agent_failed' })
    expect(work.outputs).toBeNull()
    expect(await readAttemptLog(client, run, 'work')).toContain('::swarm::{"type":"exit","code":0}')
  })
})

describe('an agent that attacks', () => {
  test('one that speaks the guest protocol to its own supervisor finds no door', async () => {
    const path = await writeAgentPackage(
      swarm.directory,
      {
        name: 'intruder',
        runtime: 'node',
        entry: 'main.mjs',
        inputs: { type: 'object' },
        outputs: { type: 'object' },
      },
      { 'main.mjs': INTRUDER },
    )
    await client.agents.register({ path })
    await registerSteps(client, 'intrude', [{ id: 'work', kind: 'agent', agent: 'intruder', retry: ONCE }])
    const { ticket, run } = await endTicket(client, { project: 'BAD', title: 'in', workflow: 'intrude' })
    expect(ticket).toMatchObject({ status: 'done' })
    expect(getStep(run, 'work').outputs).toEqual({ connected: [], openedDescriptors: [] })
    expect(await readAttemptLog(client, run, 'work')).toContain('"op":"signal"')
  })

  test('P19: hooks, filters and settings that it writes into the repository never run on the host', async () => {
    const canary = join(swarm.directory, 'canary')
    await registerSteps(
      client,
      'plant',
      [
        {
          id: 'work',
          kind: 'agent',
          agent: 'script',
          with: { command: ['node', '-e', toPlanter(canary)] },
          retry: ONCE,
        },
        { id: 'verify', kind: 'verify', needs: ['work'], commands: [['test', '-f', 'changed.txt']] },
        { id: 'propose', kind: 'pull-request', needs: ['verify'] },
      ],
      { 'done-when': 'opened' },
    )
    const { ticket } = await endTicket(client, { project: 'BAD', title: 'plant', workflow: 'plant' })
    expect(ticket).toMatchObject({ status: 'done' })
    const merged = await client.pullRequests.merge(ticket.pullRequestId ?? '', {})
    expect(merged).toMatchObject({ outcome: 'done' })
    expect(await repository.git('show', 'main:changed.txt')).toBe('changed')
    // Another run, which works on the repository as the attacker left it.
    const next = await endTicket(client, {
      project: 'BAD',
      title: 'after',
      workflow: 'misbehave',
      inputs: { how: 'forks' },
    })
    expect(next.ticket.status).toBe('done')
    await expect(stat(canary)).rejects.toThrow('ENOENT')
    const config = await repository.git('config', '--list')
    expect(config).not.toMatch(/canary|fsmonitor|hookspath/)
  })
})

/** Tries every socket and descriptor that it can name, and speaks a request of the guest protocol to itself. */
const INTRUDER = `
import { readdirSync, readFileSync, openSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
const found = { connected: [], openedDescriptors: [] }
console.log(JSON.stringify({ op: 'signal', execId: 'main', signal: 'SIGKILL', id: 1 }))
process.stdout.write(Buffer.from([0, 0, 0, 20, 1, 0, 0, 0, 1, 123, 125]))
for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)) {
  for (let fd = 3; fd < 32; fd++) {
    try { openSync('/proc/' + pid + '/fd/' + fd, 'r+'); found.openedDescriptors.push(pid + '/' + fd) } catch {}
  }
}
const named = readFileSync('/proc/net/unix', 'utf8').trim().split('\\n').slice(1).map((line) => line.trim().split(/ +/)[7]).filter(Boolean)
const guesses = ['/swarm/guest.sock', '/swarm/control/guest.sock', '/run/guest.sock', '/tmp/guest.sock', '\\0swarm']
// The gateway's socket is a door that is meant for it, and asks for the run token.
for (const path of [...named, ...guesses].filter((path) => !path.startsWith('/swarm/gateway/'))) {
  await new Promise((resolve) => connect({ path }).on('connect', () => { found.connected.push(path); resolve() }).on('error', resolve))
}
writeFileSync(process.argv[3], JSON.stringify(found))
`

/** Everything in a repository that can make git run a program, set to write the canary. */
function toPlanter(canary: string): string {
  const shout = `#!/bin/sh\necho planted >> ${canary}\n`
  return `
const fs = require('node:fs')
const shout = ${JSON.stringify(shout)}
const write = (path, text, mode = 0o644) => { fs.mkdirSync(require('node:path').dirname(path), { recursive: true }); fs.writeFileSync(path, text, { mode }) }
const names = ['pre-commit', 'post-commit', 'commit-msg', 'prepare-commit-msg', 'post-checkout', 'post-merge', 'pre-push', 'pre-receive', 'update', 'post-update', 'post-receive', 'reference-transaction', 'fsmonitor-watchman', 'pre-auto-gc']
for (const name of names) { write('.git/hooks/' + name, shout, 0o755); write('hooks/' + name, shout, 0o755); write('.githooks/' + name, shout, 0o755) }
write('evil.sh', shout, 0o755)
fs.appendFileSync('.git/config', [
  '[core]', 'fsmonitor = ./evil.sh', 'hooksPath = .githooks', 'sshCommand = ./evil.sh', 'pager = ./evil.sh', 'editor = ./evil.sh', 'askPass = ./evil.sh',
  '[filter "evil"]', 'clean = ./evil.sh', 'smudge = ./evil.sh', 'process = ./evil.sh', 'required = true',
  '[diff "evil"]', 'textconv = ./evil.sh', 'command = ./evil.sh', '[merge "evil"]', 'driver = ./evil.sh',
  '[uploadpack]', 'packObjectsHook = ./evil.sh', '[gpg]', 'program = ./evil.sh', '[commit]', 'gpgSign = true',
  '[credential]', 'helper = !./evil.sh', '[alias]', 'status = !./evil.sh', '[include]', 'path = ../evil.config', '',
].join('\\n'))
write('evil.config', '[core]\\nfsmonitor = ./evil.sh\\n')
write('.gitattributes', '* filter=evil diff=evil merge=evil\\n')
write('package.json', JSON.stringify({ scripts: { preinstall: './evil.sh', prepare: './evil.sh', test: './evil.sh' } }))
write('changed.txt', 'changed\\n')
`
}
