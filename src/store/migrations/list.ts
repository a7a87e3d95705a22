import { initialTables } from './0001-initial-tables.ts'
import type { Migration } from './migration.ts'

export const MIGRATIONS: readonly Migration[] = [initialTables]
