import type { Json, JsonObject } from '../domain/json.ts'
import type { HttpMethod, PromptSource } from './workflow.ts'

/** What an instance is started with: the step with every reference resolved and every shape checked. */
export type StepWork =
  | {
      readonly kind: 'agent'
      readonly agent: string
      readonly with: JsonObject
      readonly prompt?: PromptSource
    }
  | {
      readonly kind: 'run'
      /** At least one element; no element holds a NUL character */
      readonly command: readonly string[]
      readonly env: Readonly<Record<string, string>>
    }
  /** At least one command, each like that of `run` */
  | { readonly kind: 'verify'; readonly commands: readonly (readonly string[])[] }
  | { readonly kind: 'approve'; readonly prompt: string; readonly deadlineMs?: number }
  | {
      readonly kind: 'pull-request'
      readonly title?: string
      readonly body?: string
      readonly base?: string
    }
  | {
      readonly kind: 'http'
      readonly method: HttpMethod
      /** Absolute, `http:` or `https:` */
      readonly url: string
      readonly headers: Readonly<Record<string, string>>
      readonly body?: Json
    }
  | { readonly kind: 'workflow'; readonly workflow: string; readonly with: JsonObject }
  | { readonly kind: 'wait'; readonly forMs: number }
  | { readonly kind: 'wait'; readonly signal: string }
