import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { listOperations } from '../../src/api/operations.ts'
import type { OpenApiDocument } from '../support/answer-check.ts'
import { type ApiServer, startApiServer } from '../support/api-server.ts'

type Operation = {
  operationId: string
  parameters?: { name: string; in: string; required?: boolean; schema: object }[]
  requestBody?: { content: Record<string, { schema: object }> }
  responses: Record<string, { content?: Record<string, { schema?: object }> }>
  security: Record<string, string[]>[]
}

let server: ApiServer
let document: OpenApiDocument
let operations: { path: string; method: string; operation: Operation }[]
beforeAll(async () => {
  server = await startApiServer()
  const response = await server.unixFetch('http://localhost/openapi.json', {})
  document = (await response.json()) as OpenApiDocument
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path,
      method,
      operation: operation as unknown as Operation,
    })),
  )
})
afterAll(async () => await server[Symbol.asyncDispose]())

test('the document is OpenAPI 3.1 and names every operation once', () => {
  expect(document.openapi).toBe('3.1.0')
  const ids = operations.map(({ operation }) => operation.operationId).sort()
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids).toEqual(
    listOperations(server.deps, new AbortController().signal)
      .map(({ spec }) => spec.id)
      .sort(),
  )
})

test('every schema of the document compiles: no reference leads nowhere', () => {
  const ajv = new Ajv2020({ strict: false })
  addFormats.default(ajv)
  ajv.addSchema(document, 'openapi')
  for (const name of Object.keys(document.components.schemas)) {
    ajv.compile({ $ref: `openapi#/components/schemas/${name}` })
  }
  for (const { operation } of operations) {
    const schemas = [
      ...(operation.parameters ?? []).map(({ schema }) => schema),
      ...Object.values(operation.requestBody?.content ?? {}).map(({ schema }) => schema),
      ...Object.values(operation.responses).flatMap(({ content = {} }) =>
        Object.values(content).flatMap(({ schema }) => schema ?? []),
      ),
    ]
    for (const schema of schemas) ajv.compile(rebase(schema))
  }
})

test('every parameter of a path is described, and every operation says what a token needs and how it refuses', () => {
  for (const { path, operation } of operations) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
    const described = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path')
    expect([path, described.map(({ name }) => name).sort()]).toEqual([path, named.sort()])
    expect(operation.responses.default?.content).toHaveProperty('application/problem+json')
    const isOpen = ['checkLive', 'checkReady'].includes(operation.operationId)
    expect([operation.operationId, operation.security.length]).toEqual([
      operation.operationId,
      isOpen ? 0 : 1,
    ])
  }
})

test('an operation’s route, its id and its file share their words', async () => {
  const { readdir } = await import('node:fs/promises')
  const files = (await readdir(new URL('../../src/api', import.meta.url), { recursive: true })).map((file) =>
    file.replace(/^.*\//, '').replace(/\.ts$/, ''),
  )
  for (const { operation } of operations) {
    const file = operation.operationId.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    expect(files).toContain(file)
  }
})

/** Local references of a piece of the document, as seen from outside of it. */
function rebase(schema: object): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/'))
}
