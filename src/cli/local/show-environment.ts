import { OTHER_VARIABLES, SETTING_VARIABLES } from '../../config/environment.ts'
import type { Output } from '../output.ts'

/** The one list of variables, for people and programs. */
export function showEnvironment(output: Output): undefined {
  const rows = [
    ...OTHER_VARIABLES,
    ...SETTING_VARIABLES.map(({ variable, setting }) => ({ variable, meaning: `overrides ${setting}` })),
  ]
  if (output.format === 'json') {
    output.json(rows)
    return
  }
  const width = Math.max(...rows.map(({ variable }) => variable.length))
  for (const { variable, meaning } of rows) output.line(`${variable.padEnd(width)}  ${meaning}`)
}
