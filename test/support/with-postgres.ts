import { describe, test } from 'vitest'
import { whyNoPostgres } from './postgres-server.ts'

const isRequired = (process.env.SWARM_REQUIRE ?? '').split(/[\s,]+/).includes('postgres')

/** Tests that need a server of PostgreSQL: without one they are skipped and say so, unless they are required. */
export function describeWithPostgres(name: string, body: () => void): void {
  if (whyNoPostgres === undefined || isRequired) describe(name, body)
  else test(name, (context) => context.skip(whyNoPostgres))
}
