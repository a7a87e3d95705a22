import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { FetchLike } from '../../src/client/client.ts'

type Media = { schema?: object }
type Operation = { responses: Record<string, { content?: Record<string, Media> }> }
export type OpenApiDocument = {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, object> }
}

/**
 * Reads `/openapi.json` once and gives a wrapper: every JSON answer that goes through it must fit the document, or
 * the call fails. So each test of the API also tests its description.
 */
export async function createAnswerCheck(fetchLike: FetchLike): Promise<(inner: FetchLike) => FetchLike> {
  const document = (await (await fetchLike('http://localhost/openapi.json', {})).json()) as OpenApiDocument
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema(document, 'openapi')
  const validators = new Map<string, ValidateFunction>()
  const routes = Object.keys(document.paths).map((path) => ({ path, pattern: toPattern(path) }))

  function check(method: string, url: string, status: number, contentType: string, body: unknown): void {
    const { pathname } = new URL(url)
    // A literal path wins over one with a parameter.
    const found = routes.filter(({ pattern }) => pattern.test(pathname))
    const path = (found.find((route) => route.path === pathname) ?? found[0])?.path
    const operation = path === undefined ? undefined : document.paths[path]?.[method.toLowerCase()]
    if (path === undefined || operation === undefined) return
    const key = status in operation.responses ? String(status) : 'default'
    const response = operation.responses[key]
    if (response?.content?.[contentType] === undefined) {
      throw new Error(`${method} ${pathname} gave ${status} ${contentType}, which the document does not know`)
    }
    const pointer = ['paths', path, method.toLowerCase(), 'responses', key, 'content', contentType, 'schema']
    const ref = `openapi#/${pointer.map(escapePointer).join('/')}`
    const validate = validators.get(ref) ?? ajv.compile({ $ref: ref })
    validators.set(ref, validate)
    if (!validate(body)) {
      throw new Error(
        `${method} ${pathname} ${status} does not fit the document: ${ajv.errorsText(validate.errors)}`,
      )
    }
  }

  return (inner) => async (url, init) => {
    const response = await inner(url, init)
    const [contentType = ''] = (response.headers.get('content-type') ?? '').split(';')
    if (contentType === 'application/json' || contentType === 'application/problem+json') {
      check(init.method ?? 'GET', url, response.status, contentType, await response.clone().json())
    }
    return response
  }
}

function toPattern(path: string): RegExp {
  const source = path
    .split('/')
    .map((part) => (part.startsWith('{') ? '[^/]+' : part.replace(/[.]/g, '\\.')))
    .join('/')
  return new RegExp(`^${source}$`)
}

function escapePointer(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))
}
