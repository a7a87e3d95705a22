import type { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { EXIT } from '../exit-codes.ts'
import type { Act } from '../program.ts'
import { showProject } from './project-text.ts'
import { toRepositoryUrl } from './repository-url.ts'

type Options = {
  readonly name?: string
  /** `false` with `--no-repository` */
  readonly repository?: string | boolean
  readonly forge?: string
  readonly branch?: string
  readonly workflow?: string | boolean
}

export function configure(command: Command, act: Act): void {
  command
    .argument('<key>', 'key or identifier')
    .option('-n, --name <text>', 'name')
    .option('-r, --repository <url>', 'path or URL of its repository, without credentials')
    .option('--no-repository', 'its tickets need no repository')
    .option('--forge <name>', 'configured forge that pushes and opens pull requests')
    .option('--branch <name>', 'branch that pull requests go to')
    .option('--workflow <name>', 'workflow of tickets that no rule routes')
    .option('--no-workflow', 'such tickets are unroutable')
    .action(
      act<Options>(async (context, [argument = ''], { name, repository, forge, branch, workflow }) => {
        const change = {
          ...(name === undefined ? {} : { name }),
          ...(repository === false ? { repositoryUrl: null } : {}),
          ...(typeof repository === 'string' ? { repositoryUrl: toRepositoryUrl(context, repository) } : {}),
          ...(forge === undefined ? {} : { forge }),
          ...(branch === undefined ? {} : { defaultBranch: branch }),
          ...(workflow === false ? { defaultWorkflow: null } : {}),
          ...(typeof workflow === 'string' ? { defaultWorkflow: workflow } : {}),
        }
        if (Object.keys(change).length === 0) {
          throw new CliError(EXIT.usage, 'nothing to change', { hint: 'swarm project edit --help' })
        }
        const client = await context.connect()
        const key = argument.startsWith('prj_') ? argument : argument.toUpperCase()
        const { version } = await client.projects.get(key, context)
        showProject(context, await client.projects.update(key, version, change, context))
      }),
    )
}
