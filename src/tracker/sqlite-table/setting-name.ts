import type { TicketStatus } from '../../domain/status.ts'
import type { MappedPart } from './mapping.ts'

/** How a setting of a tracker is called in the configuration: `trackers.legacy.columns.created-at`. */
export function toSettingName(
  tracker: string,
  ...names:
    | readonly ['file' | 'table' | 'types' | 'priorities']
    | readonly ['columns', MappedPart]
    | readonly ['statuses', TicketStatus]
): string {
  return ['trackers', tracker, ...names.map(toKebab)].join('.')
}

/** `createdAt` → `created-at` */
export function toKebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
