import type { Command } from 'commander'
import type { SwarmClient } from '../client/client.ts'
import { escapeLine } from './escape-text.ts'
import { EXIT } from './exit-codes.ts'
import { formatAge, formatSince, paintStatus } from './format.ts'
import { formatBytes } from './format-bytes.ts'
import type { Act } from './program.ts'
import { showFields } from './show-fields.ts'
import { showOne } from './show-one.ts'

type Health = Awaited<ReturnType<SwarmClient['health']['get']>>

const STATUS_COLOR: Readonly<Record<string, string>> = { ok: 'ok', degraded: 'waiting', failing: 'failed' }

export function configure(command: Command, act: Act): void {
  command
    .addHelpText('after', '\nExit code 0 when it takes work, 1 when it does not, 7 when none answers.')
    .action(
      act(async (context) => {
        const client = await context.connect()
        const [health, { version }] = await Promise.all([client.health.get(context), client.version(context)])
        const { figures, sandbox } = health
        const { output } = context
        showOne(output, health, {
          id: ({ status }) => status,
          json: { ...health, version },
          text: () => {
            const word = paintStatus(health.status, STATUS_COLOR[health.status] ?? '', output.colors)
            output.line(output.colors.bold(`swarm ${version}  ${word}`))
            const now = Date.now()
            const age = figures.oldestPendingAgeMs
            showFields(output, [
              ['runs', `${figures.heldRunCount} of ${figures.slotCount} slots`],
              ['tickets', formatCounts(figures.ticketCounts)],
              ['oldest pending', age === null ? 'none' : formatAge(age)],
              ['last claim', figures.lastClaimAt && `${formatSince(figures.lastClaimAt, now)} ago`],
              [
                'last completion',
                figures.lastCompletionAt && `${formatSince(figures.lastCompletionAt, now)} ago`,
              ],
              [
                'sandbox',
                `${sandbox.driver}: ${sandbox.ok ? sandbox.isolation : 'unusable'}, limits ${sandbox.limits}`,
              ],
              ['sandbox trouble', sandbox.reason],
              ['sandbox fix', sandbox.fix],
              ['dead effects', figures.deadEffectCount || null],
              ['disk', health.disk === undefined ? null : formatDisk(health.disk)],
            ])
            for (const { name, ok, detail } of health.checks) {
              const mark = ok ? output.colors.green('ok  ') : output.colors.red('FAIL')
              output.line(`${mark}  ${escapeLine(name)}: ${escapeLine(detail)}`)
            }
          },
        })
        return health.isLive && health.isReady ? EXIT.ok : EXIT.failed
      }),
    )
}

function formatDisk({ freeBytes, bytesByKind }: NonNullable<Health['disk']>): string {
  const kinds = Object.entries(bytesByKind).filter(([, bytes]) => bytes > 0)
  return [
    `${formatBytes(freeBytes)} free`,
    ...kinds.map(([kind, bytes]) => `${kind} ${formatBytes(bytes)}`),
  ].join(', ')
}

function formatCounts(counts: Readonly<Record<string, number>>): string {
  const shown = Object.entries(counts).filter(([, count]) => count > 0)
  return shown.length === 0 ? 'none' : shown.map(([status, count]) => `${count} ${status}`).join(', ')
}
