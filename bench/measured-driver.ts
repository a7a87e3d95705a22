import type { Sandbox, SandboxDriver, SandboxTimings } from '../src/sandbox/contract.ts'

/** What a driver did for one ticket; instants of `performance.now()`. */
export type SandboxMarks = {
  readonly spawnAskedAt: number
  readonly spawnedAt: number
  readonly startedAt: number
  readonly timings: SandboxTimings
}

/** The driver itself, with its start and the start of the first `main` program noted by ticket. */
export function measureDriver(
  driver: SandboxDriver,
  onStarted: (ticketKey: string, marks: SandboxMarks) => void,
): SandboxDriver {
  return {
    ...driver,
    async spawn(request, signal) {
      const spawnAskedAt = performance.now()
      const sandbox = await driver.spawn(request, signal)
      const spawnedAt = performance.now()
      const exec: Sandbox['exec'] = async (execRequest) => {
        const status = await sandbox.exec(execRequest)
        const startedAt = performance.now()
        if (execRequest.execId === 'main') {
          const { timings } = sandbox
          onStarted(request.labels.ticket ?? '', { spawnAskedAt, spawnedAt, startedAt, timings })
        }
        return status
      }
      return { ...sandbox, exec }
    },
  }
}
