import { spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type GitHttpServer = AsyncDisposable & {
  /** Without a trailing slash; a repository is `<url>/<directory>` */
  readonly url: string
  /** Path and query of every request, for tests that look for secrets */
  readonly requests: readonly string[]
}

/** Real smart HTTP: git's own `http-backend` behind a handler that checks the login. */
export async function startGitHttpServer(input: {
  /** Folder of the bare repositories */
  readonly root: string
  /** Login that is asked for; everybody is let in when left out */
  readonly login?: { readonly username: string; readonly secret: string }
  /** Port to listen on; a free one when left out */
  readonly port?: number
}): Promise<GitHttpServer> {
  const requests: string[] = []
  const wanted =
    input.login && `Basic ${Buffer.from(`${input.login.username}:${input.login.secret}`).toString('base64')}`
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    if (wanted !== undefined && request.headers.authorization !== wanted) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('login needed')
      return
    }
    serve(input.root, request, response)
  })
  await new Promise<void>((resolve) => server.listen(input.port ?? 0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function serve(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const header = (name: string) => String(request.headers[name] ?? '')
  const backend = spawn('git', ['-c', 'http.receivepack=true', 'http-backend'], {
    env: {
      PATH: process.env.PATH,
      HOME: root,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: header('content-type'),
      CONTENT_LENGTH: header('content-length'),
      HTTP_CONTENT_ENCODING: header('content-encoding'),
      GIT_PROTOCOL: header('git-protocol'),
      REMOTE_USER: 'swarm',
      REMOTE_ADDR: '127.0.0.1',
    },
  })
  request.pipe(backend.stdin).on('error', () => {})
  backend.stderr.resume()
  const chunks: Buffer[] = []
  backend.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  backend.on('close', () => answer(Buffer.concat(chunks), response))
}

/** A CGI answer: header lines, an empty line, the body. */
function answer(output: Buffer, response: ServerResponse): void {
  const end = output.indexOf('\r\n\r\n')
  if (end === -1) return void response.writeHead(500).end('http-backend gave no answer')
  const headers = output
    .subarray(0, end)
    .toString('latin1')
    .split('\r\n')
    .map((line) => line.split(/: */, 2) as [string, string])
  const status = headers.find(([name]) => name.toLowerCase() === 'status')?.[1]
  response.writeHead(Number.parseInt(status ?? '200', 10), Object.fromEntries(headers))
  response.end(output.subarray(end + 4))
}
