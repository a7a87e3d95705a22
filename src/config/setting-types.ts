import { z } from 'zod'
import { DURATION_EXAMPLES, parseDurationMs } from '../platform/duration.ts'
import type { SettingPath } from './yaml-tree.ts'

/** What no single setting shows. */
export type SettingProblem = {
  readonly path: SettingPath
  /** Follows the setting's name */
  readonly message: string
  readonly hint: string | null
}

// Single settings that several sections have.

export const DURATION = z
  .string({ error: `expects a duration with its unit: ${DURATION_EXAMPLES}` })
  .refine((text) => (parseDurationMs(text) ?? 0) > 0, {
    error: `expects a duration with its unit: ${DURATION_EXAMPLES}`,
  })

export const TEXT = z.string().min(1, { error: 'must not be empty' })

export const WORKFLOW_NAME = z.string().regex(/^[a-z0-9][a-z0-9-]*(@[0-9A-Za-z.+-]+)?$/, {
  error: 'expects name or name@version',
})
