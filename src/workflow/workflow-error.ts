/** One thing that is wrong with a workflow's text, and where. */
export type WorkflowError = {
  readonly file: string
  /** Counted from 1 */
  readonly line: number
  /** Counted from 1 */
  readonly column: number
  readonly message: string
  /** What to do about it */
  readonly hint?: string
}

/** A problem before its place is known as line and column. */
export type Problem = {
  /** Characters from the beginning of the text */
  readonly offset: number
  readonly message: string
  readonly hint?: string | undefined
}

/** `code-change.yaml:12:9: unknown key "need" (did you mean "needs"?)` */
export function formatWorkflowError({ file, line, column, message, hint }: WorkflowError): string {
  return `${file}:${line}:${column}: ${message}${hint === undefined ? '' : ` (${hint})`}`
}
