import { Worker } from 'node:worker_threads'
import type { JsonObject } from '../domain/json.ts'
import { compileSchema, isQuick, toProblemText } from './json-schema.ts'

export type ValueCheck =
  | { readonly ok: true; readonly value: JsonObject }
  | { readonly ok: false; readonly problems: readonly string[] }

export type CheckRequest = {
  readonly schema: JsonObject
  readonly value: unknown
  /** Whether defaults of the schema are filled into the value that is given back */
  readonly fillsDefaults: boolean
}

const SLOW_CHECK_TIMEOUT_MS = 5_000
const WORKER_HEAP_MIB = 256
const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const WORKER = new URL(`./check-value-worker.${EXTENSION}`, import.meta.url)

/**
 * Checks a value against a schema of a manifest; the value itself is not changed. A schema that could take
 * long is checked in a thread of its own under a deadline, as data and schema may both be hostile.
 */
export async function checkValue(
  request: CheckRequest,
  { timeoutMs = SLOW_CHECK_TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
): Promise<ValueCheck> {
  return isQuick(request.schema) ? checkNow(request) : await checkApart(request, timeoutMs)
}

/** The same, at once, whatever time it takes. */
export function checkNow({ schema, value, fillsDefaults }: CheckRequest): ValueCheck {
  const copy = fillsDefaults ? structuredClone(value) : value
  const validate = findValidator(schema, fillsDefaults)
  if (validate(copy)) return { ok: true, value: copy as JsonObject }
  return { ok: false, problems: (validate.errors ?? []).slice(0, 10).map(toProblemText) }
}

/** Compiling costs milliseconds, and the same few agents are run again and again. */
const validators = new Map<string, ReturnType<typeof compileSchema>>()
const VALIDATOR_COUNT_MAX = 200

function findValidator(schema: JsonObject, fillsDefaults: boolean): ReturnType<typeof compileSchema> {
  const key = `${fillsDefaults}:${JSON.stringify(schema)}`
  const known = validators.get(key)
  if (known !== undefined) return known
  const compiled = compileSchema(schema, { fillsDefaults })
  const [oldest] = validators.keys()
  if (validators.size >= VALIDATOR_COUNT_MAX && oldest !== undefined) validators.delete(oldest)
  validators.set(key, compiled)
  return compiled
}

function checkApart(request: CheckRequest, timeoutMs: number): Promise<ValueCheck> {
  return new Promise((resolve) => {
    const worker = new Worker(WORKER, {
      workerData: request,
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MIB },
    })
    const settle = (check: ValueCheck) => {
      clearTimeout(timer)
      resolve(check)
      void worker.terminate()
    }
    const fail = (problem: string) => settle({ ok: false, problems: [problem] })
    const timer = setTimeout(() => fail(`the value could not be checked within ${timeoutMs} ms`), timeoutMs)
    worker.once('message', settle)
    worker.once('error', (error) => fail(`the value could not be checked: ${error.message}`))
    worker.once('exit', () => fail('the value could not be checked: the check ended early'))
  })
}
