/** Whether the table would take our writes, found out without writing. In the thread only. */
import { listStatuses, type TicketStatus } from '../../domain/status.ts'
import { TrackerError, type TrackerProblem } from '../contract.ts'
import { quote } from './cell.ts'
import { compileUpdate, takeRow, writeBackRow } from './change-row.ts'
import { assertWritable } from './open-file.ts'
import { createPractice, type Practice } from './practice-database.ts'
import { readPage, type Source } from './read-tickets.ts'
import { toSettingName } from './setting-name.ts'
import { toTrackerError } from './to-tracker-error.ts'

export type Rehearsal = {
  /** Whether tickets can be taken, as far as it could be found out */
  readonly canTake: boolean
  readonly problems: readonly TrackerProblem[]
}

const MARK = 'swarm:check'
const TRIED_COUNT_MAX = 3
const AT = Date.UTC(2026, 0, 1)

/** Compiles the write for the file, then makes it with a few open tickets in a copy in memory. */
export function rehearse(source: Source): Rehearsal {
  const obstacles = [
    ...attempt(() => assertWritable(source.mapping.path)),
    ...attempt(() => compileUpdate(source)),
  ]
  if (obstacles.length > 0) return { canTake: false, problems: obstacles.map(toProblem) }
  const practice = attemptPractice(source)
  if (practice === undefined)
    return {
      canTake: true,
      problems: [
        note('writes could not be tried in a copy: its tables cannot be made again outside their program'),
      ],
    }
  try {
    return tryAll(practice)
  } finally {
    practice[Symbol.dispose]()
  }

  function attempt(work: () => void): readonly TrackerError[] {
    try {
      work()
      return []
    } catch (error) {
      return [asTrackerError(error, source)]
    }
  }
}

function attemptPractice(source: Source): Practice | undefined {
  try {
    return createPractice(source)
  } catch (error) {
    asTrackerError(error, source)
    return undefined
  }
}

/** What is not the database's trouble is a mistake of ours and goes on. */
function asTrackerError(error: unknown, { mapping }: Source): TrackerError {
  const turned = toTrackerError(error, mapping.path)
  if (turned instanceof TrackerError) return turned
  throw turned
}

function tryAll(practice: Practice): Rehearsal {
  const { tickets } = readPage(practice.source, { states: ['pending'] })
  if (tickets.length === 0)
    return { canTake: true, problems: [note('no ticket is open, so no write was tried')] }
  const problems = new Map<string, TrackerProblem>()
  let canTake = true
  for (const { externalId } of tickets.slice(0, TRIED_COUNT_MAX)) {
    const refusals = tryTicket(practice, externalId)
    for (const { verb, error } of refusals) {
      const problem = describe(practice, verb, error)
      problems.set(problem.problem, problem)
      if (verb === 'take' && problem.severity === 'refused') canTake = false
    }
  }
  return { canTake, problems: [...problems.values()] }
}

type Refusal = { readonly verb: 'take' | TicketStatus; readonly error: TrackerError }

function tryTicket({ database, source }: Practice, externalId: string): readonly Refusal[] {
  const refusals: Refusal[] = []
  const attempt = (verb: Refusal['verb'], work: () => void) => {
    try {
      work()
      return true
    } catch (error) {
      refusals.push({ verb, error: asTrackerError(error, source) })
      return false
    }
  }
  const undone = (work: () => void) => {
    database.exec('savepoint trial')
    work()
    // A trigger may have undone everything already.
    if (database.isTransaction) database.exec('rollback to trial; release trial')
  }
  undone(() => {
    const isTaken = attempt(
      'take',
      () => void takeRow(source, { externalId, mark: MARK, lastWord: null }, AT),
    )
    if (!isTaken) return
    for (const status of listStatuses('ticket')) {
      if (status === 'running' || (source.mapping.statuses[status] ?? []).length === 0) continue
      undone(() => void attempt(status, () => void writeBackRow(source, toTrial(source, externalId, status))))
    }
  })
  return refusals
}

function toTrial({ mapping }: Source, externalId: string, status: TicketStatus) {
  return {
    externalId,
    mark: MARK,
    lastWord: mapping.statuses.running?.[0] ?? null,
    status,
    outputs: { summary: 'a trial' },
    error: status === 'failed' ? 'agent_failed: a trial' : null,
    branch: 'swarm/trial',
    pullRequest: 'https://forge.example/pull/1',
    at: AT,
  }
}

function describe(
  { isPartial, source }: Practice,
  verb: Refusal['verb'],
  error: TrackerError,
): TrackerProblem {
  const status = verb === 'take' ? 'running' : verb
  const word = quote(source.mapping.statuses[status]?.[0] ?? '')
  const what =
    verb === 'take' ? `tickets cannot be taken with the word ${word}` : `${word} cannot be written back`
  const doubt = isPartial ? ' (tried on a part of the other tables, so this may not be so)' : ''
  return {
    externalId: null,
    severity: isPartial ? 'note' : 'refused',
    problem: `${what}: ${error.message}${doubt}`,
    fix: error.fix ?? `set ${toSettingName(source.mapping.name, 'statuses', status)}`,
  }
}

function toProblem(error: TrackerError): TrackerProblem {
  return { externalId: null, severity: 'refused', problem: error.message, fix: error.fix }
}

function note(problem: string): TrackerProblem {
  return { externalId: null, severity: 'note', problem, fix: null }
}
