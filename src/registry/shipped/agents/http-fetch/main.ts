/** Sends one request, follows redirects, writes the answer. There is no way out but the gateway's proxy. */
import { readFileSync, writeFileSync } from 'node:fs'
import { send } from './send.ts'

type Input = {
  inputs: {
    url: string
    method?: string
    headers?: Record<string, string>
    body?: string
    'timeout-ms'?: number
    'body-bytes-max'?: number
    'accepted-statuses'?: number[]
  }
}

const REDIRECT_COUNT_MAX = 5
const REDIRECTS = [301, 302, 303, 307, 308]

const [, , inputPath = 'input.json', outputPath = 'output.json'] = process.argv
const { inputs } = JSON.parse(readFileSync(inputPath, 'utf8')) as Input

try {
  await main()
} catch (error) {
  fail('network_failed', error instanceof Error ? error.message : String(error))
}

async function main(): Promise<void> {
  const signal = AbortSignal.timeout(inputs['timeout-ms'] ?? 60_000)
  const start = URL.parse(inputs.url)
  if (start === null || !/^https?:$/.test(start.protocol)) {
    return fail('input_invalid', 'url is not an http or https address')
  }
  let url: URL = start
  let method = inputs.method ?? 'GET'
  let headers = inputs.headers ?? {}
  let body = inputs.body
  for (let redirects = 0; ; redirects++) {
    const answer = await send({
      url,
      method,
      headers,
      body,
      bodyBytesMax: inputs['body-bytes-max'] ?? 131_072,
      proxy: new URL(process.env.HTTP_PROXY ?? 'http://127.0.0.1:3128'),
      signal,
    })
    if (answer.refusal !== null) {
      return fail('http_failed', `the gateway refused ${url.host}: ${answer.refusal}`)
    }
    const next: URL | null = REDIRECTS.includes(answer.status)
      ? URL.parse(answer.headers.location ?? '', url.href)
      : null
    if (next === null || !/^https?:$/.test(next.protocol) || redirects >= REDIRECT_COUNT_MAX) {
      return finish(answer, url)
    }
    // Credentials are for the host they were given for.
    if (next.origin !== url.origin) headers = withoutCredentials(headers)
    if (answer.status === 303 || (method === 'POST' && answer.status < 303)) {
      method = 'GET'
      body = undefined
    }
    url = next
  }
}

function finish(answer: Awaited<ReturnType<typeof send>>, url: URL): void {
  const { status, headers, body, bodyBytes, isTruncated } = answer
  const accepted = inputs['accepted-statuses']
  const isAccepted = accepted === undefined ? status >= 200 && status < 300 : accepted.includes(status)
  process.stdout.write(`${inputs.method ?? 'GET'} ${url.host} answered ${status} with ${bodyBytes} bytes\n`)
  if (isAccepted) {
    writeFileSync(
      outputPath,
      JSON.stringify({ status, url: url.href, headers, body, bodyBytes, isTruncated }),
    )
  } else {
    fail('http_failed', `${url.host} answered with status ${status}`)
  }
}

function withoutCredentials(headers: Record<string, string>): Record<string, string> {
  const secret = ['authorization', 'cookie', 'x-api-key', 'proxy-authorization']
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !secret.includes(name.toLowerCase())))
}

function fail(reason: string, detail: string): void {
  process.stdout.write(`\n::swarm::${JSON.stringify({ type: 'failure', reason, detail })}\n`)
  process.exitCode = 1
}
