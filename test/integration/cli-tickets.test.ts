import { createHash } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { type CliOptions, makeDirectory, runCli } from './cli-process.ts'

let server: ApiServer
beforeAll(async () => {
  server = await startApiServer()
  await server.owner.projects.create({ key: 'WEB', name: 'Web' })
})
afterAll(() => server[Symbol.asyncDispose]())

/** On the socket, as the owner. */
function swarm(args: readonly string[], options?: CliOptions) {
  return runCli([...args, '--state-dir', server.directory], options)
}

async function createTicket(title = 'A ticket'): Promise<{ key: string; id: string }> {
  return await server.owner.tickets.create({ project: 'WEB', title })
}

describe('tickets', () => {
  test('what is created can be listed and shown: text for people, JSON for programs, keys with -q', async () => {
    const created = await swarm([
      'ticket',
      'create',
      'Fix the login',
      '-b',
      'It fails.',
      '-l',
      'web,urgent',
      '--priority',
      '1',
      '-i',
      'branch=main',
      '-i',
      'deep:={"a":[1]}',
      '--json',
    ])
    expect(created).toMatchObject({ code: 0, stderr: '' })
    const ticket = JSON.parse(created.stdout)
    expect(ticket).toMatchObject({
      title: 'Fix the login',
      body: 'It fails.',
      labels: ['web', 'urgent'],
      priority: 1,
      inputs: { branch: 'main', deep: { a: [1] } },
      status: 'pending',
    })
    expect(created.stdout.trimEnd()).not.toContain('\n')

    const list = await swarm(['ticket', 'list', '--json', '--status', 'pending'])
    expect(JSON.parse(list.stdout).items.map(({ key }: { key: string }) => key)).toContain(ticket.key)
    expect((await swarm(['ticket', 'list', '-q'])).stdout.split('\n')).toContain(ticket.key)
    expect((await swarm(['ticket', 'list'])).stdout).toMatch(
      new RegExp(`^${ticket.key} +pending +1 +Fix the login`, 'm'),
    )

    const shown = await swarm(['ticket', 'show', ticket.key.toLowerCase()])
    expect(shown.stdout).toContain('It fails.')
    const json = JSON.parse((await swarm(['ticket', 'show', ticket.key.slice(4), '--json'])).stdout)
    expect(json).toMatchObject({ key: ticket.key, comments: [], dependsOn: [], dependents: [] })
  })

  test('a text of 1 MB comes in unchanged from standard input and from a file', async () => {
    const body = `é${'x'.repeat(1_048_574)}\n`
    const piped = await swarm(['ticket', 'create', 'Long', '-b', '-', '-q'], { stdin: body })
    expect(piped).toMatchObject({ code: 0 })
    expect(digest((await server.owner.tickets.get(piped.stdout.trim())).body)).toBe(digest(body))

    const path = join(await makeDirectory(), 'request.md')
    await writeFile(path, `# The title\n\n${'y'.repeat(1_000_000)}`)
    const read = await swarm(['ticket', 'create', '-F', path, '-q'])
    const ticket = await server.owner.tickets.get(read.stdout.trim())
    expect(ticket).toMatchObject({ title: 'The title' })
    expect(digest(ticket.body)).toBe(digest('y'.repeat(1_000_000)))

    const refused = await swarm(['ticket', 'create', 'Longer', '-b', '-'], { stdin: 'x'.repeat(1_200_000) })
    expect(refused).toMatchObject({ code: EXIT.usage, stdout: '' })
  })

  test('text that is no UTF-8 is refused, not bent', async () => {
    const path = join(await makeDirectory(), 'latin1.txt')
    await writeFile(path, Buffer.from([0xe9, 0x0a]))
    expect(await swarm(['ticket', 'create', 'x', '-F', path])).toMatchObject({ code: EXIT.usage, stdout: '' })
  })

  test('control characters in a ticket never reach the terminal raw', async () => {
    const evil = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u202eabc\r'
    const { key } = await server.owner.tickets.create({
      project: 'WEB',
      title: `T${evil}`,
      body: `B${evil}\nnext`,
    })
    await server.owner.tickets.comment(key, { body: `C${evil}` })
    for (const args of [['show', key], ['list'], ['show', key, '--json'], ['list', '--json']]) {
      const { stdout, code } = await swarm(['ticket', ...args])
      expect(code).toBe(0)
      expect(stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/)
    }
    const shown = await swarm(['ticket', 'show', key])
    expect(shown.stdout).toContain('\\x1b[2J\\x9b31m\\u202eabc\\r')
    const json = JSON.parse((await swarm(['ticket', 'show', key, '--json'])).stdout)
    expect(json.title).toBe(`T${evil}`)
  })

  test('the beginning of an identifier is enough when it fits one, and refused when it fits several', async () => {
    // Identifiers of one instant differ in their last characters only.
    server.clock.advance(60_000)
    const { key, id } = await createTicket()
    server.clock.advance(60_000)
    await createTicket()
    expect((await swarm(['ticket', 'show', id.slice(0, 24), '-q'])).stdout).toBe(`${key}\n`)
    const several = await swarm(['ticket', 'show', id.slice(0, 10)])
    expect(several).toMatchObject({ code: EXIT.notFound, stdout: '' })
    expect(several.stderr).toMatch(/fits \d+ tickets/)
    expect(await swarm(['ticket', 'show', 'tkt_zzzzzz'])).toMatchObject({ code: EXIT.notFound, stdout: '' })
    expect(await swarm(['ticket', 'show', 'WEB-99999'])).toMatchObject({ code: EXIT.notFound, stdout: '' })
  })

  test('edit, comment, cancel and retry do what they say', async () => {
    const { key } = await createTicket()
    const edited = await swarm([
      'ticket',
      'edit',
      key,
      '-t',
      'New',
      '--add-label',
      'a,b',
      '--priority',
      '5',
      '--json',
    ])
    expect(JSON.parse(edited.stdout)).toMatchObject({ title: 'New', labels: ['a', 'b'], priority: 5 })
    expect(await swarm(['ticket', 'edit', key])).toMatchObject({ code: EXIT.usage })
    expect(await swarm(['ticket', 'comment', key, '-'], { stdin: 'From a pipe\n' })).toMatchObject({
      code: 0,
    })
    expect((await server.owner.tickets.listComments(key)).items[0]?.body).toBe('From a pipe\n')
    expect(await swarm(['ticket', 'cancel', key, '-m', 'Not now'])).toMatchObject({ code: 0 })
    expect((await server.owner.tickets.get(key)).status).toBe('canceled')
    expect(await swarm(['ticket', 'retry', key])).toMatchObject({ code: 0 })
    expect((await server.owner.tickets.get(key)).status).toBe('pending')
  })

  test('`swarm ticket explain` says each rule and the end', async () => {
    const { key } = await createTicket()
    const { stdout, code } = await swarm(['ticket', 'explain', key])
    expect(code).toBe(0)
    expect(stdout).toContain('no   bugs: the type is not bug')
    expect(stdout).toContain(`${key} is unroutable: no rule matches`)
  })

  test('a second claim loses with exit code 5; the holder completes with its epoch', async () => {
    const { key } = await createTicket()
    const claim = await swarm(['ticket', 'claim', key, '--holder', 'me', '--json'])
    expect(claim).toMatchObject({ code: 0 })
    const { run, lease } = JSON.parse(claim.stdout)
    const second = await swarm(['ticket', 'claim', key, '--holder', 'you'])
    expect(second).toMatchObject({ code: EXIT.conflict, stdout: '' })
    const proof = ['--holder', 'me', '--epoch', String(lease.epoch)]
    expect(await swarm(['run', 'heartbeat', run.id, ...proof])).toMatchObject({ code: 0 })
    expect(await swarm(['run', 'progress', run.id, ...proof, '-m', 'half', '--percent', '50'])).toMatchObject(
      { code: 0 },
    )
    const stale = await swarm([
      'run',
      'complete',
      run.id,
      '--holder',
      'me',
      '--epoch',
      String(lease.epoch + 1),
    ])
    expect(stale).toMatchObject({ code: EXIT.conflict, stdout: '' })
    const done = await swarm(['run', 'complete', run.id, ...proof, '-o', 'answer:=42', '--json'])
    expect(JSON.parse(done.stdout)).toMatchObject({ ticket: { status: 'done', outputs: { answer: 42 } } })
  })

  test('dead letters are listed and put back in one command', async () => {
    const { key } = await createTicket()
    for (let round = 0; round < 2; round++) {
      const { run, lease } = await server.owner.tickets.claim(key, { holder: 'me' })
      await server.owner.runs.fail(run.id, { holder: 'me', epoch: lease.epoch, detail: 'no use' })
      server.clock.advance(600_000)
    }
    expect((await swarm(['ticket', 'dead', 'list', '-q'])).stdout.split('\n')).toContain(key)
    expect(await swarm(['ticket', 'dead', 'retry'])).toMatchObject({ code: EXIT.usage })
    expect(await swarm(['ticket', 'dead', 'retry', '--all'])).toMatchObject({ code: 0 })
    expect((await swarm(['ticket', 'dead', 'list', '-q'])).stdout).toBe('')
    expect((await server.owner.tickets.get(key)).status).toBe('pending')
  })
})

describe('waiting', () => {
  test('`swarm run-ticket --wait` exits with 0 when it is done, and shows what happens as plain lines', async () => {
    const { key } = await createTicket()
    const { run, lease } = await server.owner.tickets.claim(key, { holder: 'me' })
    const proof = { holder: 'me', epoch: lease.epoch }
    const result = await swarm(
      ['run-ticket', key, '--wait', '--json'],
      finishWhenSeen(run.id, proof, () => server.owner.runs.complete(run.id, proof)),
    )
    expect(result.code).toBe(EXIT.ok)
    expect(JSON.parse(result.stdout)).toMatchObject({ key, status: 'done' })
    expect(result.stderr).toContain('ticket.done')
    expect(result.stderr).not.toContain('\r')
  })

  test('it exits with 1 when it failed, and says why and what is next', async () => {
    const { key } = await createTicket()
    const { run, lease } = await server.owner.tickets.claim(key, { holder: 'me' })
    const proof = { holder: 'me', epoch: lease.epoch }
    const { code, stdout, stderr } = await swarm(
      ['run-ticket', key, '--wait'],
      finishWhenSeen(run.id, proof, () =>
        server.owner.runs.fail(run.id, { ...proof, detail: 'it broke', isFinal: true }),
      ),
    )
    expect(code).toBe(EXIT.failed)
    expect(stdout).toContain(`${key} failed — agent failed: it broke`)
    expect(stderr).toContain(`swarm ticket retry ${key}`)
  })

  test('it exits with 124 when the time given passes, and the ticket goes on', async () => {
    const { key } = await createTicket()
    const { code, stdout } = await swarm(['run-ticket', key, '--wait', '--timeout', '1s'])
    expect({ code, stdout }).toEqual({ code: EXIT.timeout, stdout: '' })
    expect((await server.owner.tickets.get(key)).status).toBe('pending')
  })
})

/** Tells of progress until the command shows some: from then on it sees everything. Then ends the run. */
function finishWhenSeen(
  runId: string,
  proof: { holder: string; epoch: number },
  finish: () => Promise<unknown>,
): CliOptions {
  const tell = () => server.owner.runs.progress(runId, { ...proof, message: 'under way' })
  const telling = setInterval(() => void tell().catch(() => {}), 500)
  onTestFinished(() => clearInterval(telling))
  let isSeen = false
  return {
    onOutput: (_child, _stdout, stderr) => {
      if (isSeen || !stderr.includes('under way')) return
      isSeen = true
      clearInterval(telling)
      void finish().catch(() => {})
    },
  }
}

describe('streams', () => {
  test('events are one JSON object per line, in order', async () => {
    const { key } = await createTicket()
    const { stdout, code } = await swarm(['events', '--json', '--ticket', key])
    expect(code).toBe(0)
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events.map(({ type }) => type)).toEqual(['ticket.created'])
  })

  test('following events shows new ones, and Ctrl-C ends it with 130', async () => {
    await createTicket('before')
    let isStopped = false
    const result = await swarm(['events', '--follow', '--after', '0', '--json'], {
      onOutput: (child, stdout) => {
        if (isStopped || !stdout.includes('\n')) return
        isStopped = true
        child.kill('SIGINT')
      },
    })
    expect(result.code).toBe(EXIT.interrupted)
    expect(result.stderr).toBe('')
    for (const line of result.stdout.trimEnd().split('\n')) expect(JSON.parse(line)).toHaveProperty('seq')
  })

  test('following a daemon that is not there fails at once with 7', async () => {
    const result = await runCli(['events', '--follow', '--state-dir', await makeDirectory()])
    expect(result).toMatchObject({ code: EXIT.unreachable, stdout: '' })
  })

  test('a reader that has seen enough closes the pipe, and nothing is said', async () => {
    for (let i = 0; i < 3; i++)
      await server.owner.tickets.create({ project: 'WEB', title: 'x', body: 'y'.repeat(400_000) })
    const result = await swarm(['ticket', 'list', '--json'], {
      onOutput: (child, stdout) => {
        if (stdout.length > 0) child.stdout?.destroy()
      },
    })
    expect(result).toMatchObject({ code: EXIT.ok, stderr: '' })
  })
})

describe('access', () => {
  test('a wrong token, a missing one and one without the scope exit with 4; none is printed', async () => {
    const { secret } = await server.owner.tokens.create({ name: 'reader', scopes: ['read'] })
    const withToken = (token: string, ...args: string[]) =>
      runCli([...args, '--url', server.url], { env: { SWARM_TOKEN: token } })
    expect(await withToken(secret, 'ticket', 'list', '-q')).toMatchObject({ code: 0 })
    const results = [
      await withToken('swm_wrong-secret', 'ticket', 'list'),
      await withToken('', 'ticket', 'list'),
      await withToken(secret, 'ticket', 'create', 'x', '-p', 'WEB'),
    ]
    for (const result of results) {
      expect(result).toMatchObject({ code: EXIT.auth, stdout: '' })
      expect(result.stderr).not.toMatch(/wrong-secret/)
      expect(result.stderr).not.toContain(secret)
    }
  })

  test('a token is created into a new file of its owner, works from there and can be revoked by its name', async () => {
    const path = join(await makeDirectory(), 'token')
    const created = await swarm([
      'token',
      'create',
      'ci',
      '-s',
      'read,tickets',
      '--expires',
      '9000d',
      '--save',
      path,
      '--json',
    ])
    expect(created.code).toBe(0)
    const secret = (await readFile(path, 'utf8')).trim()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(created.stdout + created.stderr).not.toContain(secret)
    const args = ['ticket', 'list', '-q', '--url', server.url]
    expect(await runCli([...args, '--token-file', path])).toMatchObject({ code: 0 })
    expect(await runCli([...args, '--token-file', '-'], { stdin: `${secret}\n` })).toMatchObject({ code: 0 })
    expect(await swarm(['token', 'create', 'ci2', '-s', 'read', '--save', path])).toMatchObject({
      code: EXIT.usage,
    })
    expect((await server.owner.tokens.list()).items.some(({ name }) => name === 'ci2')).toBe(false)
    expect(await swarm(['token', 'revoke', 'ci'])).toMatchObject({ code: 0 })
    expect(await runCli([...args, '--token-file', path])).toMatchObject({ code: EXIT.auth })
  })

  test('`swarm status` exits with 0 when work is taken and 1 when it is not', async () => {
    const good = await swarm(['status', '--json'])
    expect(good.code).toBe(0)
    expect(JSON.parse(good.stdout)).toMatchObject({ isReady: true, version: '0.0.0-test' })
    const before = server.control.report
    server.control.report = {
      ...before,
      isReady: false,
      checks: [{ name: 'sandbox', ok: false, detail: 'none' }],
    }
    try {
      const bad = await swarm(['status'])
      expect(bad.code).toBe(EXIT.failed)
      expect(bad.stdout).toContain('FAIL  sandbox: none')
    } finally {
      server.control.report = before
    }
  })

  test('projects are created, changed and shown', async () => {
    const home = await makeDirectory()
    const created = await swarm(['project', 'create', 'ops', '-r', './repo', '--json'], {
      cwd: home,
      env: { HOME: home },
    })
    expect(JSON.parse(created.stdout)).toMatchObject({ key: 'OPS', repositoryUrl: join(home, 'repo') })
    const edited = await swarm([
      'project',
      'edit',
      'OPS',
      '--no-repository',
      '--workflow',
      'linear',
      '--json',
    ])
    expect(JSON.parse(edited.stdout)).toMatchObject({ repositoryUrl: null, defaultWorkflow: 'linear' })
    expect(await swarm(['project', 'create', 'OPS'])).toMatchObject({ code: EXIT.conflict, stdout: '' })
    expect((await swarm(['project', 'list', '-q'])).stdout.trimEnd().split('\n').sort()).toEqual([
      'OPS',
      'WEB',
    ])
    const unsaid = await swarm(['ticket', 'create', 'x'])
    expect(unsaid).toMatchObject({ code: EXIT.usage, stdout: '' })
    expect(unsaid.stderr).toMatch(/say which project is meant: (OPS, WEB|WEB, OPS)/)
  })
})

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
