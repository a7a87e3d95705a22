/** Branded identifiers: text, sortable by creation time, with a prefix that says what they name. */
declare const brand: unique symbol
type Id<Name extends string> = string & { readonly [brand]: Name }

export type ProjectId = Id<'project'>
export type TicketId = Id<'ticket'>
export type CommentId = Id<'comment'>
export type RunId = Id<'run'>
export type StepInstanceId = Id<'step'>
export type AttemptId = Id<'attempt'>
export type WaitId = Id<'wait'>
export type SignalId = Id<'signal'>
export type EffectId = Id<'effect'>
export type SandboxId = Id<'sandbox'>
export type PullRequestId = Id<'pull_request'>
export type HostId = Id<'host'>
export type ArtifactId = Id<'artifact'>
export type TokenId = Id<'token'>
export type AgentId = Id<'agent'>
export type WorkflowId = Id<'workflow'>

type IdOf = {
  project: ProjectId
  ticket: TicketId
  comment: CommentId
  run: RunId
  step: StepInstanceId
  attempt: AttemptId
  wait: WaitId
  signal: SignalId
  effect: EffectId
  sandbox: SandboxId
  pull_request: PullRequestId
  host: HostId
  artifact: ArtifactId
  token: TokenId
  agent: AgentId
  workflow: WorkflowId
}
export type IdKind = keyof IdOf

const PREFIXES: Readonly<Record<IdKind, string>> = {
  project: 'prj',
  ticket: 'tkt',
  comment: 'cmt',
  run: 'run',
  step: 'stp',
  attempt: 'att',
  wait: 'wai',
  signal: 'sig',
  effect: 'eff',
  sandbox: 'sbx',
  pull_request: 'prq',
  host: 'hst',
  artifact: 'art',
  token: 'tok',
  agent: 'agt',
  workflow: 'wfl',
}

/** Crockford's base 32, lower case: no letter that is mistaken for a digit. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const TIME_CHARS = 10
const RANDOM_CHARS = 16

/**
 * An identifier such as `run_01kb3v8r2n4w6y8a0c2e4g6j8m`: 10 characters of time, 16 of randomness.
 * @param nowMs instant of creation, `ms` since the epoch
 * @param randomBytes at least 16 bytes; the caller draws them
 */
export function toId<Kind extends IdKind>(kind: Kind, nowMs: number, randomBytes: Uint8Array): IdOf[Kind] {
  let time = ''
  for (let rest = nowMs, i = 0; i < TIME_CHARS; i++, rest = Math.floor(rest / 32)) {
    time = ALPHABET.charAt(rest % 32) + time
  }
  let random = ''
  for (let i = 0; i < RANDOM_CHARS; i++) random += ALPHABET.charAt((randomBytes[i] ?? 0) % 32)
  return `${PREFIXES[kind]}_${time}${random}` as IdOf[Kind]
}

/** Whether the text has the shape of an identifier of this kind. */
export function isId<Kind extends IdKind>(kind: Kind, text: string): text is IdOf[Kind] {
  return new RegExp(`^${PREFIXES[kind]}_[${ALPHABET}]{${TIME_CHARS + RANDOM_CHARS}}$`).test(text)
}
