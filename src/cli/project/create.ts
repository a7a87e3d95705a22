import type { Command } from 'commander'
import type { Act } from '../program.ts'
import { showProject } from './project-text.ts'
import { toRepositoryUrl } from './repository-url.ts'

type Options = {
  readonly name?: string
  readonly repository?: string
  readonly forge?: string
  readonly branch?: string
  readonly workflow?: string
}

export function configure(command: Command, act: Act): void {
  command
    .argument('<key>', 'upper-case word before the number of its tickets: WEB')
    .option('-n, --name <text>', 'name; else the key')
    .option('-r, --repository <url>', 'path or URL of its repository, without credentials')
    .option('--forge <name>', 'configured forge that pushes and opens pull requests')
    .option('--branch <name>', 'branch that pull requests go to')
    .option('--workflow <name>', 'workflow of tickets that no rule routes')
    .action(
      act<Options>(async (context, [argument = ''], { name, repository, forge, branch, workflow }) => {
        const client = await context.connect()
        const key = argument.toUpperCase()
        const project = await client.projects.create(
          {
            key,
            name: name ?? key,
            ...(repository === undefined ? {} : { repositoryUrl: toRepositoryUrl(context, repository) }),
            ...(forge === undefined ? {} : { forge }),
            ...(branch === undefined ? {} : { defaultBranch: branch }),
            ...(workflow === undefined ? {} : { defaultWorkflow: workflow }),
          },
          context,
        )
        showProject(context, project)
      }),
    )
}
