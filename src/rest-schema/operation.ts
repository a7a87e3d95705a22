import type * as z from 'zod'
import type { Scope } from '../domain/records.ts'

/**
 * One operation of the API as data: the server mounts it, the client calls it, OpenAPI describes it. Its `id`,
 * its path and the file that handles it share their words: `cancelRun`, `POST /v1/runs/{runId}/cancel`,
 * `src/api/runs/cancel-run.ts`.
 */
export type OperationSpec = {
  readonly id: string
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** With `{name}` for each parameter */
  readonly path: `/${string}`
  readonly tag: string
  readonly summary: string
  readonly description?: string
  /** What a token must be allowed; `null`: open to everyone */
  readonly scope: Scope | null
  /** A run's own token may use it for that run, named by the parameter `runId` */
  readonly isRunDoor?: true
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodType
  /** `Idempotency-Key` is honoured: the same key and body again gives the same answer */
  readonly isIdempotent?: true
  /** The answer carries an `ETag` */
  readonly hasETag?: true
  /** Refused without `If-Match` */
  readonly needsIfMatch?: true
  readonly answer: AnswerSpec
}

export type AnswerSpec =
  | { readonly kind: 'json'; readonly statuses: readonly SuccessStatus[]; readonly schema: z.ZodType }
  /** Bytes that may go on for long; the first content type is the one given when nothing is asked for */
  | {
      readonly kind: 'stream'
      readonly statuses: readonly SuccessStatus[]
      readonly contentTypes: readonly string[]
    }
  /** JSON, or a stream where the request asks for `text/event-stream` */
  | { readonly kind: 'json-or-events'; readonly statuses: readonly [200]; readonly schema: z.ZodType }

/** 204 is an answer without a body. */
export type SuccessStatus = 200 | 201 | 202 | 204 | 206

/** Checks the shape and keeps the exact types. */
export function defineOperation<const Spec extends OperationSpec>(spec: Spec): Spec {
  return spec
}

export type ParamsOf<Spec> = Spec extends { readonly params: infer S extends z.ZodType }
  ? z.output<S>
  : unknown
export type QueryOf<Spec> = Spec extends { readonly query: infer S extends z.ZodType } ? z.output<S> : unknown
export type BodyOf<Spec> = Spec extends { readonly body: infer S extends z.ZodType } ? z.output<S> : undefined
export type QueryInputOf<Spec> = Spec extends { readonly query: infer S extends z.ZodType }
  ? z.input<S>
  : never
export type BodyInputOf<Spec> = Spec extends { readonly body: infer S extends z.ZodType } ? z.input<S> : never

type JsonSchemaOf<Spec> = Spec extends { readonly answer: { readonly schema: infer S extends z.ZodType } }
  ? S
  : never
/** What a handler gives. */
export type AnswerBodyOf<Spec> = z.input<JsonSchemaOf<Spec>>
/** What a client gets. */
export type AnswerOf<Spec> = z.output<JsonSchemaOf<Spec>>
