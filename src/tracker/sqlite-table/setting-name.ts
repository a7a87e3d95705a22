import type { TicketStatus } from '../../domain/status.ts'
import type { MappedPart } from './mapping.ts'

/** How a setting of a tracker is called in the configuration: `trackers.legacy.columns.created-at`. */
export function toSettingName(
  tracker: string,
  ...names:
    | readonly ['path' | 'table' | 'types' | 'priorities']
    | readonly ['columns', MappedPart]
    | readonly ['statuses', TicketStatus]
): string {
  const parts = names.map((name) => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`))
  return ['trackers', tracker, ...parts].join('.')
}
