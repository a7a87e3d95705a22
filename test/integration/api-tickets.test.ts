import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ApiServer, startApiServer } from '../support/api-server.ts'
import { expectProblem } from '../support/expect-problem.ts'

let server: ApiServer
beforeEach(async () => {
  server = await startApiServer()
  await server.owner.projects.create({ key: 'WEB', name: 'Web' })
})
afterEach(async () => await server[Symbol.asyncDispose]())

const create = async (fields: { title?: string; [field: string]: unknown } = {}) =>
  await server.owner.tickets.create({ project: 'WEB', title: 'A title', ...fields })

describe('tickets', () => {
  test('a ticket is created with all its fields, found by key and by identifier, and wakes the coordinator', async () => {
    const ticket = await create({
      title: 'Fix the login',
      body: 'It fails.',
      type: 'bug',
      labels: ['auth', 'web'],
      priority: 1,
      workflow: 'code-change',
      agent: 'coder',
      inputs: { depth: { max: 3 } },
      notBefore: '2030-02-01T00:00:00.000Z',
    })
    expect(ticket).toMatchObject({
      key: 'WEB-1',
      number: 1,
      title: 'Fix the login',
      type: 'bug',
      labels: ['auth', 'web'],
      priority: 1,
      status: 'pending',
      workflow: 'code-change',
      agent: 'coder',
      inputs: { depth: { max: 3 } },
      notBefore: '2030-02-01T00:00:00.000Z',
      createdBy: 'owner',
    })
    expect(await server.owner.tickets.get('WEB-1')).toEqual(ticket)
    expect(await server.owner.tickets.get(ticket.id)).toEqual(ticket)
    expect(server.control.wakeCount).toBe(1)
  })

  test('what is not there is 404, what is no key is 400, whoever asks', async () => {
    await expectProblem(server.owner.tickets.get('WEB-99'), 404, 'not_found')
    await expectProblem(server.owner.tickets.get("WEB-1'; drop table tickets"), 400, 'invalid_request')
    await expectProblem(server.owner.tickets.get('__proto__'), 400, 'invalid_request')
    await expectProblem(server.owner.tickets.create({ project: 'NOPE', title: 'x' }), 404, 'not_found')
  })

  test('an unknown field is refused by its name, and every field that is wrong is named', async () => {
    const body = JSON.stringify({ project: 'WEB', title: '', titel: 'x', priority: 9 })
    const response = await post('/v1/tickets', body)
    expect(response.status).toBe(422)
    const problem = (await response.json()) as { errors: { pointer: string; message: string }[] }
    expect(problem.errors.map(({ pointer }) => pointer).sort()).toEqual(['/priority', '/titel', '/title'])
    expect(problem.errors.find(({ pointer }) => pointer === '/titel')?.message).toBe('unknown field "titel"')
  })

  test('an unknown query parameter, a wrong status and a foreign cursor are refused', async () => {
    for (const query of [
      'statsu=pending',
      'status=ready',
      'limit=0',
      'limit=201',
      'cursor=%00',
      'dead=yes',
    ]) {
      const response = await server.unixFetch(`http://localhost/v1/tickets?${query}`, {})
      expect([query, response.status]).toEqual([query, 400])
    }
    await expectProblem(server.owner.tickets.list({ cursor: 'bm90LWEtY3Vyc29y' }), 400, 'invalid_cursor')
  })

  test('tickets are listed by filter and page by page, each once', async () => {
    for (let i = 1; i <= 7; i++) await create({ title: `T${i}`, labels: i % 2 === 0 ? ['even'] : ['odd'] })
    await create({ title: 'draft', isDraft: true })
    const keys: string[] = []
    for await (const ticket of server.owner.tickets.listAll({ label: ['odd'], limit: 2 }))
      keys.push(ticket.key)
    expect(keys.sort()).toEqual(['WEB-1', 'WEB-3', 'WEB-5', 'WEB-7'])
    const drafts = await server.owner.tickets.list({ project: 'WEB', status: ['draft'] })
    expect(drafts.items.map(({ title }) => title)).toEqual(['draft'])
    expect(drafts.nextCursor).toBeNull()
  })

  test('a change needs the version that was read: without it 428, with an old one 412', async () => {
    const ticket = await create()
    const response = await server.unixFetch('http://localhost/v1/tickets/WEB-1', {})
    expect(response.headers.get('etag')).toBe(`"${ticket.version}"`)

    const patch = (headers: Record<string, string>) =>
      server.unixFetch('http://localhost/v1/tickets/WEB-1', {
        method: 'PATCH',
        headers: { 'content-type': 'application/json', ...headers },
        body: '{"priority":2}',
      })
    expect((await patch({})).status).toBe(428)
    expect((await patch({ 'if-match': 'W/"1"' })).status).toBe(412)
    expect((await patch({ 'if-match': '"999"' })).status).toBe(412)
    const changed = await server.owner.tickets.update('WEB-1', ticket.version, {
      title: 'New',
      labels: ['x'],
    })
    expect(changed).toMatchObject({ title: 'New', labels: ['x'] })
    expect(changed.version).toBeGreaterThan(ticket.version)
    await expectProblem(
      server.owner.tickets.update('WEB-1', ticket.version, { title: 'Lost' }),
      412,
      'version_conflict',
    )
    expect((await patch({ 'if-match': '*' })).status).toBe(200)
  })

  test('of several changes to one version exactly one wins', async () => {
    const { version } = await create()
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) =>
        server.owner.tickets.update('WEB-1', version, { title: `by ${i}` }),
      ),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect((await server.owner.tickets.get('WEB-1')).version).toBe(version + 1)
  })

  test('a ticket is canceled and requeued', async () => {
    await create()
    const canceled = await server.owner.tickets.cancel('WEB-1', { detail: 'not needed' })
    expect(canceled.status).toBe('canceled')
    expect((await server.owner.tickets.cancel('WEB-1')).version).toBe(canceled.version)
    expect((await server.owner.tickets.retry('WEB-1')).status).toBe('pending')
    await expectProblem(server.owner.tickets.retry('WEB-1'), 409, 'conflict')
  })

  test('canceling a ticket tells the coordinator about its run', async () => {
    await create()
    const claim = await server.store.write.claimNext({ holder: 'host-1', leaseTtlMs: 60_000 })
    await server.owner.tickets.cancel('WEB-1')
    expect(server.control.canceledRuns).toEqual([claim?.run.id])
  })

  test('explain says each rule and why', async () => {
    await create()
    const explanation = await server.owner.tickets.explain('WEB-1')
    expect(explanation.rules).toEqual([{ name: 'bugs', isMatch: false, why: 'the type is not bug' }])
    expect(explanation.result).toEqual({ kind: 'unroutable', detail: 'no rule matches' })
    await expectProblem(server.owner.tickets.explain('WEB-2'), 404, 'not_found')
  })

  test('comments keep their author and their order', async () => {
    await create()
    const person = await server.connectAs('tickets')
    await server.owner.tickets.comment('WEB-1', { body: 'first' })
    server.clock.advance(1)
    await person.tickets.comment('WEB-1', { body: 'second' })
    const { items } = await server.owner.tickets.listComments('WEB-1')
    expect(items.map(({ author, body }) => [author, body])).toEqual([
      ['owner', 'first'],
      ['token:tickets', 'second'],
    ])
    await expectProblem(server.owner.tickets.comment('WEB-1', { body: '' }), 422, 'invalid_request')
    await expectProblem(server.owner.tickets.comment('WEB-7', { body: 'x' }), 404, 'not_found')
  })

  test('dependencies block, are listed both ways, and a cycle is refused', async () => {
    await create({ title: 'first' })
    const second = await create({ title: 'second', dependsOn: ['WEB-1'] })
    expect(second.status).toBe('blocked')
    const lists = await server.owner.tickets.listDependencies('WEB-2')
    expect(lists.dependsOn.map(({ key }) => key)).toEqual(['WEB-1'])
    expect((await server.owner.tickets.listDependencies('WEB-1')).dependents.map(({ key }) => key)).toEqual([
      'WEB-2',
    ])

    const first = await server.owner.tickets.get('WEB-1')
    await expectProblem(
      server.owner.tickets.setDependencies('WEB-1', first.version, { dependsOn: ['WEB-2'] }),
      422,
      'dependency_cycle',
    )
    const freed = await server.owner.tickets.setDependencies('WEB-2', second.version, { dependsOn: [] })
    expect(freed.status).toBe('pending')
    await expectProblem(
      server.owner.tickets.create({ project: 'WEB', title: 'x', dependsOn: ['WEB-77'] }),
      404,
      'not_found',
    )
  })
})

describe('idempotency', () => {
  test('the same key and body again gives the same answer and creates nothing', async () => {
    const body = { project: 'WEB', title: 'once' }
    const first = await server.owner.tickets.create(body, { idempotencyKey: 'key-1' })
    const again = await Promise.all(
      Array.from({ length: 5 }, () => server.owner.tickets.create(body, { idempotencyKey: 'key-1' })),
    )
    for (const ticket of again) expect(ticket).toEqual(first)
    expect((await server.owner.tickets.list()).items).toHaveLength(1)
  })

  test('the same key with another body is refused; keys of two credentials do not meet', async () => {
    await server.owner.tickets.create({ project: 'WEB', title: 'one' }, { idempotencyKey: 'key-1' })
    await expectProblem(
      server.owner.tickets.create({ project: 'WEB', title: 'two' }, { idempotencyKey: 'key-1' }),
      422,
      'idempotency_mismatch',
    )
    const other = await server.connectAs('tickets')
    const ticket = await other.tickets.create({ project: 'WEB', title: 'two' }, { idempotencyKey: 'key-1' })
    expect(ticket.key).toBe('WEB-2')
  })

  test('a refusal is not kept: the same request may go better later', async () => {
    const body = { project: 'NEW', title: 'x' }
    await expectProblem(server.owner.tickets.create(body, { idempotencyKey: 'key-2' }), 404, 'not_found')
    await server.owner.projects.create({ key: 'NEW', name: 'New' })
    expect((await server.owner.tickets.create(body, { idempotencyKey: 'key-2' })).key).toBe('NEW-1')
  })

  test('a key that is none is refused', async () => {
    await expectProblem(
      server.owner.tickets.create({ project: 'WEB', title: 'x' }, { idempotencyKey: 'k'.repeat(201) }),
      400,
      'idempotency_key_invalid',
    )
  })
})

describe('hostile data', () => {
  test('U14: hostile titles and bodies are inert: stored and given back as they are', async () => {
    const texts = [
      '$(touch /tmp/owned); `id` && rm -rf / | tee > x',
      '${ticket.body} {{ ticket.title | upcase }} {% include "x" %} <%= 1 %>',
      "'; drop table tickets; --",
      '<script>alert(1)</script>',
      '--upload-pack=touch /tmp/owned',
      '../../etc/passwd',
      '\u001b[31mred\u0007\b\u007f\u009b31m\r\n\t\u202Eevil',
      '😀 \uFEFF\uFFFF',
    ]
    for (const [i, text] of texts.entries()) {
      const ticket = await create({
        title: text,
        body: text,
        labels: [text.slice(0, 100)],
        inputs: { [text]: text },
      })
      const found = await server.owner.tickets.get(`WEB-${i + 1}`)
      expect(found).toMatchObject({ title: text, body: text, inputs: { [text]: text } })
      expect(ticket.title).toBe(text)
    }
    expect((await server.owner.tickets.list()).items).toHaveLength(texts.length)
  })

  test('a body of 1 MiB characters is taken, one more is refused, as is a title of 501', async () => {
    const body = 'ä'.repeat(1_048_576)
    await create({ body })
    expect((await server.owner.tickets.get('WEB-1')).body).toBe(body)
    await expectProblem(create({ body: `${body}x` }), 422, 'invalid_request')
    await expectProblem(create({ title: 'x'.repeat(501) }), 422, 'invalid_request')
  })

  test('NUL and halves of surrogate pairs are refused wherever they hide, by the name of the field', async () => {
    for (const [body, pointer] of [
      ['{"project":"WEB","title":"a\\u0000b"}', '/title'],
      ['{"project":"WEB","title":"x","body":"\\u0000"}', '/body'],
      ['{"project":"WEB","title":"\\ud800"}', '/title'],
      ['{"project":"WEB","title":"x","labels":["a","\\u0000"]}', '/labels/1'],
      ['{"project":"WEB","title":"x","inputs":{"a":[{"b\\u0000":1}]}}', '/inputs'],
    ] as const) {
      const response = await post('/v1/tickets', body)
      expect(response.status).toBe(422)
      const problem = (await response.json()) as { errors: { pointer: string }[] }
      expect(problem.errors.map((error) => error.pointer)).toEqual([pointer])
    }
  })

  test('a body that is no JSON, too deep, too large or of another type is refused', async () => {
    expect((await post('/v1/tickets', '{"project":')).status).toBe(400)
    expect(
      (
        await post(
          '/v1/tickets',
          `{"project":"WEB","title":"x","inputs":${'{"a":'.repeat(100)}1${'}'.repeat(101)}`,
        )
      ).status,
    ).toBe(400)
    expect((await post('/v1/tickets', 'x'.repeat(8 * 1024 * 1024 + 1))).status).toBe(413)
    expect((await post('/v1/tickets', '{}', 'text/plain')).status).toBe(415)
    expect((await post('/v1/tickets', '')).status).toBe(422)
    expect((await post('/v1/tickets', Buffer.from([0x22, 0xff, 0x22]))).status).toBe(400)
    expect((await post('/v1/tickets', '[]')).status).toBe(422)
    expect((await post('/v1/tickets', 'null')).status).toBe(422)
    const chunks = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let i = 0; i < 9; i++) controller.enqueue(new Uint8Array(1024 * 1024).fill(32))
        controller.close()
      },
    })
    const { secret } = await server.owner.tokens.create({ name: 't', scopes: ['tickets'] })
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${secret}` }
    const init: RequestInit & { duplex: 'half' } = { method: 'POST', headers, body: chunks, duplex: 'half' }
    const outcome = await fetch(`${server.url}/v1/tickets`, init).then(
      (response) => response.status,
      () => 'hung up',
    )
    expect([413, 'hung up']).toContain(outcome)
    expect((await server.owner.tickets.list()).items).toEqual([])
  })

  test('keys that belong to prototypes are plain data', async () => {
    const response = await post(
      '/v1/tickets',
      '{"project":"WEB","title":"x","inputs":{"__proto__":{"a":1},"constructor":2}}',
    )
    expect(response.status).toBe(201)
    expect(Object.keys({} as Record<string, unknown>)).toEqual([])
    expect(({} as { a?: number }).a).toBeUndefined()
  })
})

describe('projects', () => {
  test('a project is created, listed, read and changed under its version', async () => {
    const project = await server.owner.projects.create({
      key: 'API',
      name: 'Api',
      repositoryUrl: '/srv/git/api',
      defaultWorkflow: 'code-change',
      settings: { checks: [['npm', 'test']] },
    })
    expect((await server.owner.projects.list()).items.map(({ key }) => key).sort()).toEqual(['API', 'WEB'])
    expect(await server.owner.projects.get('API')).toEqual(project)
    expect(await server.owner.projects.get(project.id)).toEqual(project)
    const changed = await server.owner.projects.update('API', project.version, { defaultBranch: 'trunk' })
    expect(changed).toMatchObject({ defaultBranch: 'trunk', name: 'Api' })
    await expectProblem(
      server.owner.projects.update('API', project.version, { name: 'x' }),
      412,
      'version_conflict',
    )
    await expectProblem(server.owner.projects.get('NOPE'), 404, 'not_found')
    await expectProblem(server.owner.projects.create({ key: 'API', name: 'again' }), 409, 'conflict')
    await expectProblem(server.owner.projects.create({ key: 'lower', name: 'x' }), 422, 'invalid_request')
  })

  test('a repository address that is an option, a helper or carries credentials is refused', async () => {
    for (const repositoryUrl of [
      'ext::sh -c touch% /tmp/owned',
      '--upload-pack=x',
      'https://user:hunter2@git.example.org/x.git',
      'https://ghp_secret@git.example.org/x.git',
      'ssh://git:pass@git.example.org/x.git',
      'file:///x\n--option',
    ]) {
      const problem = await expectProblem(
        server.owner.projects.create({ key: 'BAD', name: 'x', repositoryUrl }),
        422,
        'invalid_request',
      )
      expect(problem.message).not.toContain('hunter2')
    }
    for (const [i, repositoryUrl] of [
      'https://git.example.org/x.git',
      'ssh://git@git.example.org/x.git',
      'git@git.example.org:team/x.git',
      '/srv/git/x.git',
    ].entries()) {
      await server.owner.projects.create({ key: `OK${i}`, name: 'x', repositoryUrl })
    }
  })
})

function post(
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  contentType = 'application/json',
): Promise<Response> {
  return server.unixFetch(`http://localhost${path}`, {
    method: 'POST',
    headers: { 'content-type': contentType },
    body,
  })
}
