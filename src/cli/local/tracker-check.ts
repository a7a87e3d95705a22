import type { Command } from 'commander'
import { loadConfig } from '../../config/load-config.ts'
import { checkTracker } from '../../main.ts'
import { CliError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'
import { escapeLine } from '../escape-text.ts'
import { EXIT } from '../exit-codes.ts'
import type { Act } from '../program.ts'
import { cut, renderTable } from '../table.ts'
import { groupProblems } from '../tracker/problem-text.ts'
import { toOverrides } from './overrides.ts'

/** A title in the preview, in columns of the terminal: enough to know the ticket by */
const TITLE_WIDTH_MAX = 72

export function configure(command: Command, act: Act): void {
  command
    .argument('<name>', 'as in the configuration')
    .addHelpText(
      'after',
      '\nNothing is written, and no daemon is needed. Exit code 1 when it cannot be used.',
    )
    .action(
      act(async (context, [name = '']) => {
        const { environment, places, globals, output, signal } = context
        const loaded = await loadConfig({
          configPath: globals.config,
          environment,
          places,
          flags: toOverrides(globals),
        })
        const { trackers } = loaded.config
        const tracker = trackers.find((each) => each.name === name)
        if (tracker === undefined) throw unknown(name, trackers, loaded.file)
        const check = await checkTracker(tracker, loaded.config.routes, signal)
        if (output.format === 'json') output.json({ name, ...check })
        else if (output.format === 'ids')
          for (const { externalId } of check.sample) output.line(escapeLine(externalId))
        else showCheck(context, name, check)
        return check.isUsable ? EXIT.ok : EXIT.failed
      }),
    )
}

function unknown(
  name: string,
  trackers: readonly { readonly name: string }[],
  file: string | null,
): CliError {
  const names = trackers.map((each) => each.name).join(', ')
  const toAdd = 'add it under "trackers"'
  const hint =
    file === null
      ? `there is no configuration file: write one with "swarm init", then ${toAdd}`
      : `${names === '' ? toAdd : `configured: ${names}`} (${file})`
  return new CliError(EXIT.notFound, `there is no tracker ${JSON.stringify(name)} in the configuration`, {
    code: 'not_found',
    hint,
  })
}

type Check = Awaited<ReturnType<typeof checkTracker>>

function showCheck({ output, terminal }: CliContext, name: string, check: Check): void {
  const { colors } = output
  const size = { width: terminal.columnCount, colors }
  const table = <Row>(
    title: string,
    rows: readonly Row[],
    columns: Parameters<typeof renderTable<Row>>[1],
  ) => {
    if (rows.length === 0) return
    output.line(`\n${colors.bold(title)}`)
    for (const line of renderTable(rows, columns, size)) output.line(line)
  }
  output.line(`${name}: ${check.isUsable ? colors.green('usable') : colors.red('not usable')}`)
  table('How its columns are used', check.mapping, [
    { title: 'PART', value: ({ part }) => part },
    { title: 'USE', value: ({ use }) => use, isFlexible: true },
  ])
  table('Its tickets', check.counts, [
    { title: 'WORD', value: ({ word }) => showWord(word) },
    { title: 'MEANS', value: ({ status }) => status ?? 'nothing: not mapped' },
    { title: 'TICKETS', value: ({ count }) => String(count) },
  ])
  table(`Would be mirrored: ${check.mirroredCount}, the first are`, check.sample, [
    { title: 'ID', value: ({ externalId }) => externalId },
    { title: 'TYPE', value: ({ type }) => type },
    { title: 'PRIO', value: ({ priority }) => String(priority) },
    { title: 'TITLE', value: ({ title }) => cut(title, TITLE_WIDTH_MAX), isFlexible: true },
  ])
  if (check.sample.length === 0) output.line('\nNothing would be mirrored')
  if (check.problems.length > 0) output.line(`\n${colors.bold('Problems')}`)
  const groups = groupProblems(check.problems)
  const isRefused = ({ severity }: { severity: string }) => severity === 'refused'
  const sorted = [...groups.filter(isRefused), ...groups.filter((each) => !isRefused(each))]
  for (const { severity, text, fix } of sorted) {
    const mark = severity === 'refused' ? colors.red('FAIL') : colors.yellow('note')
    output.line(`${mark}  ${escapeLine(text)}`)
    if (fix !== null) output.line(`      fix: ${escapeLine(fix)}`)
  }
}

/** In quotes where blanks would not be seen. */
function showWord(word: string): string {
  return word === word.trim() && word !== '' ? word : JSON.stringify(word)
}
