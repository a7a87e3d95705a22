import type { JsonObject } from '../domain/json.ts'
import type { Reason } from '../domain/reason.ts'

/**
 * An agent adapter translates between one way of talking to agents and the engine. It starts nothing itself:
 * `prepare` says what must be in the sandbox, `command` what to execute there, `openEvents` reads what the
 * process prints, `interpret` says what its end means. All of it may be repeated for the same attempt after a
 * coordinator restart, so an adapter keeps no state between calls.
 */
export interface AgentAdapter {
  /** Name in the family's registry: `package`, `fake` … */
  readonly name: string
  readonly capabilities: AgentCapabilities

  /**
   * What to put into a fresh sandbox before the agent starts. Called once per attempt, before `command`.
   * Reads the package's files from disk and refuses (throws `AgentTroubleError`) when they no longer match its
   * digest.
   */
  prepare(request: AgentRequest, signal: AbortSignal): Promise<AgentPreparation>

  /** What to execute in the sandbox. Pure. */
  command(request: AgentRequest): AgentCommand

  /** A reader for the standard output of one attempt; on re-attach open a new one and feed it from offset 0. */
  openEvents(): AgentEventReader

  /** What the end of the process means. The exit code is authoritative; outputs count only with exit code 0. */
  interpret(request: AgentRequest, end: AgentEnd): Promise<AgentOutcome>
}

/** What an adapter can do beyond running to completion. */
export type AgentCapabilities = {
  /** A later attempt can continue the same session */
  readonly resume: boolean
  /** A message can be given to a running agent */
  readonly send: boolean
  /** A turn can be stopped without ending the process */
  readonly interrupt: boolean
}

/** How the entry is executed: by the sandbox's Node, an interpreter on its PATH, or directly (`exec`). */
export const AGENT_RUNTIMES = ['node', 'bash', 'sh', 'python3', 'exec'] as const
export type AgentRuntime = (typeof AGENT_RUNTIMES)[number]

/** A registered agent, ready to run. The registry makes these (structurally; it does not import this family). */
export type AgentPackage = {
  readonly name: string
  readonly version: string
  readonly description: string
  /** SHA-256 over names, modes and contents of all files, hexadecimal */
  readonly digest: string
  /** Host directory that holds the files; immutable once registered. Its digest is checked before each use */
  readonly directory: string
  readonly runtime: AgentRuntime
  /** Path of the entry inside the package, relative, with `/` */
  readonly entry: string
  /** Whether the repository must, may or need not be checked out in the sandbox */
  readonly workspace: 'required' | 'optional' | 'none'
  /** Memory the sandbox must offer, `MiB` */
  readonly memoryMib: number
  /** Longest an attempt may take, `ms` */
  readonly timeoutMs: number
  readonly network: AgentNetwork
  readonly capabilities: AgentCapabilities
  /** The inputs with defaults filled in, or what is wrong with them; never throws on bad data */
  checkInputs(value: unknown): Promise<ShapeCheck>
  checkOutputs(value: unknown): Promise<ShapeCheck>
}

/** What the agent asks to reach; the operator's policy decides what it gets. `*` asks for all that is allowed. */
export type AgentNetwork = {
  /** Host names (`example.com`, `*.example.com`) with a port each, or `*` */
  readonly hosts: readonly { readonly host: string; readonly port: number }[] | '*'
  /** Names of model routes, or `*` */
  readonly models: readonly string[] | '*'
}

export type ShapeCheck =
  | { readonly ok: true; readonly value: JsonObject }
  | { readonly ok: false; readonly problems: readonly string[] }

/** Everything an attempt is about. */
export type AgentRequest = {
  readonly package: AgentPackage
  /** Checked by `package.checkInputs` */
  readonly inputs: JsonObject
  readonly ticket: AgentTicket
  readonly run: { readonly id: string; readonly step: string; readonly attempt: number }
  /** Rendered prompt, or `null` when the step has none */
  readonly prompt: string | null
  /** What went wrong before, for the agent to read, or `null` */
  readonly feedback: string | null
  /** Whether the sandbox holds a repository at `layout.workspace` */
  readonly hasWorkspace: boolean
  /** Commands that the project declares as its checks, as argument arrays; the agent may run these only */
  readonly checks: readonly AgentCheck[]
  /** Where things are in the sandbox; `SANDBOX_LAYOUT` but for drivers without a file system of their own */
  readonly layout: SandboxLayout
}

export type AgentCheck = {
  readonly name: string
  readonly command: readonly string[]
  /** `ms` */
  readonly timeoutMs: number
}

export type AgentTicket = {
  readonly key: string
  readonly title: string
  readonly body: string
  readonly type: string | null
  readonly labels: readonly string[]
}

/** Absolute paths inside the sandbox. */
export type SandboxLayout = {
  /** The Node binary */
  readonly node: string
  /** Directory of the package's files */
  readonly agent: string
  /** Directory of this attempt: `input.json`, `output.json`; the working directory of the entry */
  readonly attempt: string
  readonly workspace: string
  readonly ticket: string
  readonly prompt: string
  readonly feedback: string
}

export const SANDBOX_LAYOUT: SandboxLayout = {
  node: '/swarm/bin/node',
  agent: '/swarm/agent',
  attempt: '/swarm/attempt',
  workspace: '/workspace',
  ticket: '/swarm/ticket.json',
  prompt: '/swarm/prompt.md',
  feedback: '/swarm/feedback.md',
}

export type AgentPreparation = {
  /** Files to put, parents first; `sandbox.put('/swarm', packFiles(files, '/swarm'))` puts them there */
  readonly files: readonly SandboxFile[]
  /** Environment beyond what every sandbox has; no secret is ever among it */
  readonly env: Readonly<Record<string, string>>
}

export type SandboxFile = {
  /** Absolute path in the sandbox */
  readonly path: string
  /** Permission bits */
  readonly mode: number
  readonly content: Uint8Array
}

export type AgentCommand = {
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** Path of the result in the sandbox */
  readonly outputPath: string
}

/** How the process ended, and the result file as it was found afterwards. */
export type AgentEnd = {
  /** `null` when a signal ended it */
  readonly exitCode: number | null
  readonly signal: string | null
  readonly output: OutputFile
  /** The last `failure` event the agent printed, if any: a hint about the reason, never about success */
  readonly failure: AgentFailure | null
}

/** `readOutput` (read-output.ts) makes it with `sandbox.getFile`. */
export type OutputFile =
  | { readonly kind: 'missing' }
  | { readonly kind: 'not_a_file' }
  | { readonly kind: 'too_large' }
  | { readonly kind: 'read'; readonly content: Uint8Array }

/** Largest `output.json`, bytes */
export const OUTPUT_BYTES_MAX = 1024 * 1024

export type AgentOutcome =
  | { readonly kind: 'succeeded'; readonly outputs: JsonObject }
  | {
      readonly kind: 'failed'
      readonly reason: Reason
      /** For a person; from the agent, so hostile text: bounded, without control characters */
      readonly detail: string
      /** What a provider asked us to wait, `ms` */
      readonly retryAfterMs?: number
    }

/** Turns output as it arrives into events; holds at most one unfinished line. */
export interface AgentEventReader {
  push(chunk: Uint8Array): readonly AgentEvent[]
  /** The last line may lack its end */
  end(): readonly AgentEvent[]
}

/** Normalised events; texts are bounded and free of control characters. They are claims, not facts. */
export type AgentEvent =
  | { readonly kind: 'milestone'; readonly text: string }
  | { readonly kind: 'turn'; readonly turn: number; readonly text: string }
  | { readonly kind: 'tool'; readonly tool: string; readonly text: string }
  | ({ readonly kind: 'usage' } & AgentUsage)
  | ({ readonly kind: 'failure' } & AgentFailure)

/** Tokens of one model answer as the agent saw them; the gateway's own count is the one that is billed. */
export type AgentUsage = {
  readonly model: string
  readonly inputTokens: number
  readonly outputTokens: number
}

export type AgentFailure = {
  readonly reason: Reason
  readonly detail: string
  readonly retryAfterMs: number | null
}

/** The adapter could not do its part: package files gone or changed. */
export class AgentTroubleError extends Error {
  readonly code: 'package_missing' | 'package_changed' | 'package_too_large'
  readonly agent: string

  constructor(code: AgentTroubleError['code'], agent: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'AgentTroubleError'
    this.code = code
    this.agent = agent
  }
}
