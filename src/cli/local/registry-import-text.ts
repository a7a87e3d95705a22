import { countOutcomes, type ImportItem, type ImportReport } from '../../registry/import/import-report.ts'
import type { CliContext } from '../context.ts'
import { escapeLine } from '../escape-text.ts'

/** What became of each row, line by line, and the sum of it. */
export function showImport(
  { output }: CliContext,
  report: ImportReport,
  { isDryRun }: { readonly isDryRun: boolean },
): void {
  const counts = countOutcomes(report)
  if (output.format === 'json') {
    output.json({ isDryRun, counts, ...report })
    return
  }
  if (output.format === 'ids') {
    for (const { name, version, outcome } of report.items) {
      if (outcome !== 'refused') output.line(`${name}@${version}`)
    }
    return
  }
  const paint = {
    taken: output.colors.green,
    changed: output.colors.yellow,
    unchanged: output.colors.dim,
    refused: output.colors.red,
  }
  for (const item of report.items) {
    output.line(`${paint[item.outcome](item.outcome.padEnd(9))}  ${item.kind.padEnd(8)}  ${toTitle(item)}`)
    for (const line of listLines(item)) output.line(`           ${escapeLine(line)}`)
  }
  for (const note of report.notes) output.message(`note: ${escapeLine(note)}`)
  const sum = Object.entries(counts).map(([outcome, count]) => `${count} ${outcome}`)
  output.message(`${sum.join(', ')}${isDryRun ? '; nothing was registered: this was a dry run' : ''}`)
}

function toTitle({ row, theirs, name, version }: ImportItem): string {
  if (name !== null && version !== null) return `${name}@${version}`
  const known = [theirs.name, theirs.version].flatMap((text) => (text === null ? [] : [text.slice(0, 80)]))
  return escapeLine(`row ${row}${known.length === 0 ? '' : ` (${known.join(' ')})`}`)
}

/** Of what is refused only why: what would have been changed is no news. */
function listLines({ outcome, changes, notes, problems }: ImportItem): readonly string[] {
  if (outcome === 'refused') return problems
  return outcome === 'unchanged' ? [] : [...changes, ...notes]
}
