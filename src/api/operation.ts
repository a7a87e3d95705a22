import type {
  AnswerBodyOf,
  BodyOf,
  OperationSpec,
  ParamsOf,
  QueryOf,
  SuccessStatus,
} from '../rest-schema/operation.ts'
import type { StoreWriter } from '../store/contract.ts'
import type { Caller } from './caller.ts'

export type RequestWriter = Omit<StoreWriter, 'once'>

/**
 * Makes the change and its answer. Under an `Idempotency-Key` the two are one transaction, so nothing is read from
 * the store inside: what the change needs to know is read before.
 */
export type Change<Answer> = (work: (write: RequestWriter) => Promise<Answer>) => Promise<Answer>

/** What a handler is given: everything parsed, the caller known and allowed. */
export type HandlerInput<Spec> = {
  readonly params: ParamsOf<Spec>
  readonly query: QueryOf<Spec>
  readonly body: BodyOf<Spec>
  readonly caller: Caller
  /** From `If-Match`; `undefined`: whatever there is */
  readonly expectedVersion: number | undefined
  readonly headers: Headers
  /** Aborts when the other end hangs up */
  readonly signal: AbortSignal
} & (Spec extends { readonly isIdempotent: true }
  ? { readonly change: Change<HandlerAnswer<Spec>> }
  : { readonly write: RequestWriter })

export type HandlerAnswer<Spec> =
  | {
      readonly status: Exclude<SuccessStatus, 204>
      readonly body: AnswerBodyOf<Spec>
      /** Goes out as `ETag` */
      readonly version?: number
      /** Called once the change is committed; must not throw */
      readonly after?: () => void
    }
  | { readonly status: 204 }

export type Handler<Spec> = (input: HandlerInput<Spec>) => Promise<HandlerAnswer<Spec> | Response>

/** A handler whose types are settled. */
export type AnyHandler = (input: AnyInput) => Promise<AnyAnswer | Response>
export type AnyInput = HandlerInput<unknown> & { readonly change: Change<AnyAnswer> }
export type AnyAnswer =
  | {
      readonly status: Exclude<SuccessStatus, 204>
      readonly body: unknown
      readonly version?: number
      readonly after?: () => void
    }
  | { readonly status: 204 }

export type ApiOperation = { readonly spec: OperationSpec; readonly handler: AnyHandler }

/** Ties a handler to its operation; here the compiler compares the two. */
export function operation<Spec extends OperationSpec>(
  spec: Spec,
  handler: Handler<NoInfer<Spec>>,
): ApiOperation {
  // Once paired, only the schemas of `spec` feed `handler`: it is never called with anything else.
  return { spec, handler: handler as unknown as AnyHandler }
}
