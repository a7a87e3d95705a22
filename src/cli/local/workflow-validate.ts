import type { Command } from 'commander'
import { parseWorkflow } from '../../workflow/parse-workflow.ts'
import { formatWorkflowError } from '../../workflow/workflow-error.ts'
import type { CliContext } from '../context.ts'
import type { Act } from '../program.ts'
import { readText } from '../read-text.ts'
import { showValidation } from '../show-validation.ts'
import { nameFile } from '../workflow/name-file.ts'

export function configure(command: Command, act: Act): void {
  command
    .argument('<file>', 'YAML file; - reads standard input')
    .addHelpText('after', '\nWithout a daemon everything is checked but whether its agents exist.')
    .action(
      act(async (context, [file = '']) => {
        const text = (await readText(context, { file })) ?? ''
        const parsed = parseWorkflow(text, { file: file === '-' ? 'stdin' : file })
        if (!parsed.ok) {
          const problems = parsed.errors.map(formatWorkflowError)
          return showValidation(context, file, { isValid: false, problems })
        }
        const { isValid, problems } = await validateWithDaemon(context, text)
        return showValidation(context, file, {
          isValid,
          problems: problems.map((problem) => nameFile(problem, file)),
        })
      }),
    )
}

async function validateWithDaemon(context: CliContext, text: string) {
  try {
    const client = await context.connect()
    return await client.workflows.validate({ text }, context)
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ConnectionError') throw error
    context.output.message('no daemon answers: whether its agents exist was not checked')
    return { isValid: true, problems: [] }
  }
}
