import type { Config } from '../../../config/config.ts'
import { checkTracker } from '../../../main.ts'
import { groupProblems } from '../../tracker/problem-text.ts'
import { type Check, fail, ok, warn } from './check.ts'

const TIMEOUT_MS = 15_000

/** Whether each tracker can be mirrored, taken from and written back to. */
export async function checkTrackers({ trackers, routes }: Config, signal: AbortSignal): Promise<Check[]> {
  return await Promise.all(
    trackers.map(async (tracker) => {
      const name = `tracker ${tracker.name}`
      const command = `swarm tracker check ${tracker.name}`
      const limit = AbortSignal.timeout(TIMEOUT_MS)
      try {
        const check = await checkTracker(tracker, routes, AbortSignal.any([signal, limit]))
        const refused = check.problems.filter(({ severity }) => severity === 'refused')
        const groups = groupProblems(refused)
        const [first] = groups
        if (!check.isUsable) return fail(name, first?.text ?? 'cannot be used', first?.fix ?? command)
        const counts = `${check.mirroredCount} would be mirrored`
        if (first === undefined) return ok(name, counts)
        const more = groups.length === 1 ? '' : ` (and ${groups.length - 1} more)`
        return warn(name, `${counts}; ${first.text}${more}`, command)
      } catch (error) {
        signal.throwIfAborted()
        if (!limit.aborted) throw error
        return fail(name, `did not answer in ${TIMEOUT_MS / 1000} s`, command)
      }
    }),
  )
}
