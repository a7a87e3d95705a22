/** What a figure is worth nothing without: the machine, the versions, how durable a commit is. */
import { readFile, statfs } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'
import { DatabaseSync } from 'node:sqlite'
import { runProcess } from '../src/platform/process.ts'
import type { SandboxCapabilities } from '../src/sandbox/contract.ts'
import { print } from './report.ts'

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  16914836: 'tmpfs',
  2435016766: 'btrfs',
  1481003842: 'xfs',
  2035054128: 'overlayfs',
}

export async function printFacts(input: {
  directory: string
  isQuick: boolean
  driver: { readonly name: string; readonly capabilities: SandboxCapabilities }
}): Promise<void> {
  const { driver } = input
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const sqlite = Object.values(new DatabaseSync(':memory:').prepare('select sqlite_version()').get() ?? {})[0]
  print(`swarm ${version}, node ${process.version}, SQLite ${sqlite}, ${await readBubblewrapVersion()}`)
  print(
    `sandbox driver ${driver.name}: ${driver.capabilities.limits} limits, ${process.getuid?.() === 0 ? 'as root' : 'as an ordinary user'}`,
  )
  printMachine()
  print(
    `durability: journal_mode=wal synchronous=full (each commit waits for the disk), on ${await nameFileSystem(input.directory)}`,
  )
  if (input.isQuick) print('--quick: only shows that the benchmark works; its figures mean nothing')
}

export function printMachine(): void {
  print(
    `machine: ${availableParallelism()} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`,
  )
  print(`load average before: ${formatLoad()}`)
}

export async function nameFileSystem(directory: string): Promise<string> {
  const { type } = await statfs(directory)
  return FILE_SYSTEMS[type] ?? `file system 0x${type.toString(16)}`
}

export function formatLoad(): string {
  return loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')
}

async function readBubblewrapVersion(): Promise<string> {
  const request = { argv: ['bwrap', '--version'], timeoutMs: 5_000, outputBytesMax: 1_000 }
  return await runProcess(request).then(
    ({ stdout }) => stdout.toString('utf8').trim(),
    () => 'bubblewrap is not installed',
  )
}
