import { chmod, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import type { ApiError } from '../../client/api-error.ts'
import type { SwarmClient } from '../../client/client.ts'
import { toAbsolutePath } from '../../platform/paths.ts'
import type { ForeignFileError } from '../../registry/import/foreign-file.ts'
import { type ImportTarget, importRegistry } from '../../registry/import/import-registry.ts'
import { countOutcomes, type ImportReport } from '../../registry/import/import-report.ts'
import { CliError } from '../cli-error.ts'
import { findAddress } from '../connect.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { collectTexts } from '../parse-options.ts'
import type { Act } from '../program.ts'
import { findStateDir } from './find-state-dir.ts'
import { makeImportStaging } from './import-staging.ts'
import { showImport } from './registry-import-text.ts'
import { type MappingOptions, toMapping } from './registry-mapping.ts'

type Options = MappingOptions & { readonly dryRun?: boolean }

const EXAMPLES = `
The file is only read. It has the tables agents (name, version, path, runtime, description, capabilities)
and workflows (name, version, steps, description); a path is relative to the folder of the file.

  swarm registry import registry.db --dry-run
  swarm registry import registry.db --column agents.path=location --value agents.runtime=python3
  swarm registry import registry.db --only agents --rename "agents.Code Writer=writer"

Run it on the host of the daemon. Exit code 1: something was refused, everything else was taken.`

export function configure(command: Command, act: Act): void {
  command
    .argument('<file>', 'SQLite file of the registry')
    .option('--dry-run', 'check everything and register nothing')
    .option('--only <table>', 'agents or workflows')
    .option('--agents-table <name>', 'table or view of the agents', 'agents')
    .option('--workflows-table <name>', 'table or view of the workflows', 'workflows')
    .option(
      '--column <table.field=column>',
      'column that a field is read from; may be repeated',
      collectTexts,
    )
    .option(
      '--value <table.field=text>',
      'what to take where the file says nothing; may be repeated',
      collectTexts,
    )
    .option('--rename <table.name=ours>', 'our name for one of theirs; may be repeated', collectTexts)
    .option('--duration-unit <unit>', 'what a time without a unit counts: ms, s or m')
    .addHelpText('after', EXAMPLES)
    .action(act<Options>((context, [file = ''], options) => run(context, file, options)))
}

async function run(context: CliContext, file: string, options: Options): Promise<ExitCode> {
  const { places, signal } = context
  const mapping = toMapping(options)
  const isDryRun = options.dryRun === true
  const path = toAbsolutePath(file, places.workingDirectory, places)
  const target = await openTarget(context, isDryRun)
  const stagingDirectory = await makeStaging(context, isDryRun)
  try {
    const report = await importRegistry({ ...mapping, file: path, target, stagingDirectory, signal })
    showImport(context, report, { isDryRun })
    return toExitCode(report)
  } catch (error) {
    throw error instanceof Error && error.name === 'ForeignFileError'
      ? toCliError(error as ForeignFileError)
      : error
  } finally {
    await rm(stagingDirectory, { recursive: true, force: true })
  }
}

function toExitCode(report: ImportReport): ExitCode {
  return countOutcomes(report).refused > 0 ? EXIT.failed : EXIT.ok
}

function toCliError(error: ForeignFileError): CliError {
  const { code, message, hint } = error
  const exitCode =
    code === 'file_missing'
      ? EXIT.notFound
      : code === 'locked' || code === 'unreadable'
        ? EXIT.failed
        : EXIT.usage
  return new CliError(exitCode, message, { code, hint, cause: error })
}

/** What is registered, and the way to register more. A dry run can do without a daemon. */
async function openTarget(context: CliContext, isDryRun: boolean): Promise<ImportTarget> {
  try {
    const client = await context.connect()
    const known = await listKnown(client, context)
    return isDryRun ? { known } : { known, register: toRegister(client, context) }
  } catch (error) {
    if (!isDryRun || !(error instanceof Error) || error.name !== 'ConnectionError') throw error
    context.output.message('no daemon answers: what is registered already was not looked at')
    return { known: undefined }
  }
}

async function listKnown(
  client: SwarmClient,
  context: CliContext,
): Promise<NonNullable<ImportTarget['known']>> {
  const agents = await client.agents.list(context)
  const workflows = await client.workflows.list(context)
  const toKnown = <T extends { readonly createdAt: string }>(item: T) => ({
    ...item,
    createdAt: Date.parse(item.createdAt),
  })
  return { agents: agents.items.map(toKnown), workflows: workflows.items.map(toKnown) }
}

function toRegister(client: SwarmClient, context: CliContext): NonNullable<ImportTarget['register']> {
  return {
    agent: (path) => refusalOf(client.agents.register({ path }, context)),
    workflow: (text) => refusalOf(client.workflows.register({ text }, context)),
  }
}

/** Why the daemon did not take this one. A daemon that is gone, or a token without the right, ends the import. */
async function refusalOf(registering: Promise<unknown>): Promise<string | undefined> {
  try {
    await registering
    return undefined
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ApiError') throw error
    const { status, message } = error as ApiError
    if (status < 400 || status >= 500 || status === 401 || status === 403) throw error
    return message
  }
}

/**
 * Where copies of packages lie while the daemon reads them. A daemon in a service of its own often sees no other
 * /tmp than its own, so they lie in its state directory where that is known.
 */
async function makeStaging(context: CliContext, isDryRun: boolean): Promise<string> {
  const isLocal = !isDryRun && findAddress(context) === undefined
  const directory = await makeImportStaging(isLocal ? await findStateDir(context) : tmpdir())
  // The daemon may be another user than the one who imports.
  if (!isDryRun) await chmod(directory, 0o755)
  return directory
}
