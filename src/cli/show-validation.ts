import type { CliContext } from './context.ts'
import { escapeLine } from './escape-text.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'

/** What a check found: the problems are the data. Exit code 1 when there are any. */
export function showValidation(
  { output }: CliContext,
  what: string,
  validation: { readonly isValid: boolean; readonly problems: readonly string[] },
): ExitCode {
  if (output.format === 'json') output.json(validation)
  else for (const problem of validation.problems) output.line(escapeLine(problem))
  if (validation.isValid && output.format === 'text') output.line(`${what} is valid`)
  return validation.isValid ? EXIT.ok : EXIT.failed
}
