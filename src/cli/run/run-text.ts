import type { SwarmClient } from '../../client/client.ts'
import type { CliContext } from '../context.ts'
import { escapeLine } from '../escape-text.ts'
import { formatElapsed, formatReason, formatSince, paintStatus } from '../format.ts'
import { showFields } from '../show-fields.ts'
import { type Column, renderTable } from '../table.ts'

export type Run = Awaited<ReturnType<SwarmClient['runs']['list']>>['items'][number]
export type RunDetail = Awaited<ReturnType<SwarmClient['runs']['get']>>

/** Columns of a list of runs. */
export function runColumns({ output }: CliContext, nowMs: number): readonly Column<Run>[] {
  return [
    { title: 'RUN', value: ({ id }) => id },
    {
      title: 'STATUS',
      value: ({ status }) => status,
      paint: (text, { status }) => paintStatus(text, status, output.colors),
    },
    { title: 'WORKFLOW', value: ({ workflow }) => workflow ?? '' },
    { title: 'AGENT', value: ({ agent }) => agent ?? '' },
    { title: 'WHY', value: ({ reason, detail }) => detail ?? formatReason(reason), isFlexible: true },
    { title: 'AGE', value: ({ createdAt }) => formatSince(createdAt, nowMs) },
    { title: 'TOOK', value: toElapsed },
  ]
}

/** Everything a person asks of a run: its state, its steps, what it waits for. */
export function showRun(context: CliContext, run: RunDetail): void {
  const { output, terminal } = context
  output.line(
    output.colors.bold(
      `${run.ticketKey} run ${run.number}  ${paintStatus(run.status, run.status, output.colors)}`,
    ),
  )
  showFields(output, [
    ['id', run.id],
    ['why', formatReason(run.reason)],
    ['detail', run.detail],
    ['workflow', run.workflow],
    ['agent', run.agent],
    ['rule', run.rule],
    ['branch', run.branch],
    ['held by', run.lease.holder],
    ['not before', run.notBefore],
    ['took', toElapsed(run)],
    ['sandboxes', run.sandboxes.map(({ driver, status }) => `${driver} (${status})`).join(', ')],
    ['tokens', run.usage.inputTokenCount + run.usage.outputTokenCount || null],
    ['outputs', run.outputs === null ? null : JSON.stringify(run.outputs)],
  ])
  if (run.steps.length > 0) {
    output.line('')
    const columns: readonly Column<RunDetail['steps'][number]>[] = [
      { title: 'STEP', value: ({ key }) => key },
      { title: 'KIND', value: ({ kind }) => kind },
      {
        title: 'STATUS',
        value: ({ status }) => status,
        paint: (text, { status }) => paintStatus(text, status, output.colors),
      },
      { title: 'TRIES', value: ({ attemptCount }) => String(attemptCount) },
      { title: 'TOOK', value: toElapsed },
      { title: 'WHY', value: ({ reason, detail }) => detail ?? formatReason(reason), isFlexible: true },
    ]
    const size = { width: terminal.columnCount, colors: output.colors }
    for (const line of renderTable(run.steps, columns, size)) output.line(line)
  }
  for (const wait of run.openWaits) {
    output.line(`\n${output.colors.yellow(`waits for ${wait.kind}:`)} ${escapeLine(wait.subject)}`)
    const next = nextCommand(wait.kind, run.ticketKey)
    if (next !== undefined) output.line(`  ${next}`)
  }
}

/** The command that resolves what a run waits for, when a person can. */
export function nextCommand(waitKind: string, ticketKey: string): string | undefined {
  if (waitKind === 'approval') return `swarm run approve ${ticketKey}   or   swarm run reject ${ticketKey}`
  if (waitKind === 'question') return `swarm run answer ${ticketKey} "…"`
  return undefined
}

function toElapsed({
  startedAt,
  finishedAt,
}: {
  startedAt: string | null
  finishedAt: string | null
}): string {
  if (startedAt === null) return ''
  const end = finishedAt === null ? Date.now() : Date.parse(finishedAt)
  return formatElapsed(end - Date.parse(startedAt))
}
