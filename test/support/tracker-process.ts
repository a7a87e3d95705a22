/** `node tracker-process.ts <path>`: checks, fetches and takes ticket `a`, and says how each went, as JSON in a line. */
import { TrackerError } from '../../src/tracker/contract.ts'
import { createSqliteTableTracker } from '../../src/tracker/sqlite-table/create-sqlite-table-tracker.ts'
import { toMapping } from './foreign-database.ts'

const [path = ''] = process.argv.slice(2)
const tracker = createSqliteTableTracker(toMapping(path), { busyTimeoutMs: 500 })
const signal = AbortSignal.timeout(20_000)

const orError = async <T>(work: Promise<T>) =>
  await work.catch((error: unknown) => {
    if (!(error instanceof TrackerError)) throw error
    return { code: error.code, message: error.message, fix: error.fix }
  })

const check = await orError(tracker.check(signal))
const page = await orError(tracker.fetchByStates({ states: ['pending'] }, signal))
const taken = await orError(tracker.take({ externalId: 'a', mark: 'swarm:1', lastWord: null }, signal))
await tracker.close()
console.log(JSON.stringify({ check, page, taken }))
