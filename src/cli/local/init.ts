import { mkdir, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Command } from 'commander'
import { defaultConfigPath, toAbsolutePath } from '../../platform/paths.ts'
import { DirectoryNotPrivateError, makePrivateDirectory } from '../../platform/private-directory.ts'
import { CliError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import type { Act } from '../program.ts'
import { toRepositoryUrl } from '../project/repository-url.ts'
import { showOne } from '../show-one.ts'
import { describeSystemError } from '../system-words.ts'
import { toConfigTemplate } from './config-template.ts'
import { findStateDir, toNewStateDir } from './find-state-dir.ts'

type Options = { readonly force?: boolean; readonly project?: string; readonly repository?: string }

export function configure(command: Command, act: Act): void {
  command
    .option('--force', 'write the configuration anew when there is one')
    .option('-p, --project <key>', 'create this project too; the daemon must run')
    .option('-r, --repository <url>', 'repository of the project')
    .action(
      act<Options>(async (context, _args, { force, project, repository }) => {
        if (repository !== undefined && project === undefined) {
          throw new CliError(EXIT.usage, '--repository needs --project', { hint: 'add --project WEB' })
        }
        const { environment, places, globals, output } = context
        const named = globals.config ?? (environment.SWARM_CONFIG || undefined)
        const configPath =
          named === undefined
            ? defaultConfigPath(environment, places)
            : toAbsolutePath(named, places.workingDirectory, places)
        const isThere = await hasFile(configPath)
        const stateDir = isThere ? await findStateDir(context) : toNewStateDir(context)
        const isWritten = !isThere || force === true
        // First, so that no configuration stays behind that names a place which cannot be used.
        await makeStateDir(stateDir)
        if (isWritten)
          await writeConfig(configPath, toConfigTemplate(stateDir), { isOverwriting: force === true })
        const created = project === undefined ? null : await createProject(context, project, repository)
        showOne(
          output,
          { configPath, isWritten, stateDir, project: created },
          {
            id: () => configPath,
            text: () => {
              output.line(`${isWritten ? 'wrote' : 'kept'} ${configPath}`)
              output.line(`state is in ${stateDir}`)
              if (created !== null) output.line(`project ${created} is ready`)
              output.message('next: swarm doctor, then swarm up --detach')
            },
          },
        )
      }),
    )
}

async function hasFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return false
    throw new CliError(EXIT.failed, `cannot look at ${path}: ${describeSystemError(error)}`, { cause: error })
  }
}

async function writeConfig(path: string, text: string, { isOverwriting }: { isOverwriting: boolean }) {
  try {
    await mkdir(dirname(path), { recursive: true })
    const handle = await open(path, isOverwriting ? 'w' : 'wx', 0o600)
    try {
      await handle.writeFile(text)
    } finally {
      await handle.close()
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const hint = code === 'EACCES' ? 'name another place with --config' : undefined
    throw new CliError(EXIT.failed, `cannot write ${path}: ${describeSystemError(error)}`, {
      hint,
      cause: error,
    })
  }
}

async function makeStateDir(path: string): Promise<void> {
  try {
    await makePrivateDirectory(path)
  } catch (error) {
    if (error instanceof DirectoryNotPrivateError) {
      throw new CliError(EXIT.failed, error.message, { hint: error.fix, cause: error })
    }
    const hint = 'name another place with --state-dir'
    throw new CliError(EXIT.failed, `cannot make ${path}: ${describeSystemError(error)}`, {
      hint,
      cause: error,
    })
  }
}

async function createProject(
  context: CliContext,
  key: string,
  repository: string | undefined,
): Promise<string> {
  const client = await context.connect()
  const project = await client.projects.create(
    {
      key: key.toUpperCase(),
      name: key.toUpperCase(),
      ...(repository === undefined ? {} : { repositoryUrl: toRepositoryUrl(context, repository) }),
    },
    context,
  )
  return project.key
}
