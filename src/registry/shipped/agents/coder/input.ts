/** What Swarm writes into `input.json`. */
export type CoderInput = {
  readonly inputs: {
    readonly model?: string
    readonly 'turns-max'?: number
    readonly 'reply-tokens-max'?: number
    readonly instructions?: string
  }
  readonly ticket: {
    readonly key: string
    readonly title: string
    readonly body: string
    readonly labels: readonly string[]
  }
  readonly run: { readonly id: string; readonly attempt: number }
  readonly workspace: string | null
  readonly promptPath: string | null
  readonly feedback: string | null
  readonly checks: readonly Check[]
}

export type Check = { readonly name: string; readonly command: readonly string[]; readonly timeoutMs: number }
