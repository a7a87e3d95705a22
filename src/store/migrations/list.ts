import { initialTables } from './0001-initial-tables.ts'
import { trackers } from './0002-trackers.ts'
import { retention } from './0003-retention.ts'
import { effectSenders } from './0004-effect-senders.ts'
import type { Migration } from './migration.ts'

export const MIGRATIONS: readonly Migration[] = [initialTables, trackers, retention, effectSenders]
