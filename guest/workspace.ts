/**
 * The git work inside a sandbox: `node swarm-workspace.mjs <open|harvest> <arguments.json>`. Both run as the
 * workload's user, next to whatever the agent left there, so nothing in the workspace is trusted: not its `.git`,
 * not its hooks, filters or attributes, not the kind of its files. Exit code 0 and the note say that it is done;
 * anything else is one sentence on stderr.
 */
import { readFileSync } from 'node:fs'
import { parseHarvestArguments, parseOpenArguments, toRoot } from './workspace-arguments.ts'
import { harvestWorkspace } from './workspace-harvest.ts'
import { openWorkspace } from './workspace-open.ts'

const ARGUMENTS_BYTES_MAX = 1024 * 1024
const EXIT_USAGE = 64

function main(): void {
  const [verb, argumentsPath] = process.argv.slice(2)
  if (argumentsPath === undefined || (verb !== 'open' && verb !== 'harvest')) {
    process.stderr.write('usage: swarm-workspace <open|harvest> <arguments.json>\n')
    process.exitCode = EXIT_USAGE
    return
  }
  try {
    const bytes = readFileSync(argumentsPath)
    if (bytes.length > ARGUMENTS_BYTES_MAX) throw new Error('the arguments are too large')
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    const root = toRoot(argumentsPath)
    if (verb === 'open') openWorkspace(parseOpenArguments(value, root))
    else harvestWorkspace(parseHarvestArguments(value, root))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}

main()
