import { duplexPair } from 'node:stream'
import type { SandboxId } from '../../domain/id.ts'
import { type Sandbox, type SandboxDriver, SandboxError, type SpawnRequest } from '../contract.ts'
import { connectGuest } from '../guest-connection.ts'
import { parseIdentityAck, parseNothing } from '../guest-protocol-messages.ts'
import { createGuestSandbox } from '../guest-sandbox.ts'
import { parseTemplateSpec } from '../template.ts'
import { FakeGuest } from './fake-guest.ts'

const CONNECT_TIMEOUT_MS = 5_000
const MIB = 2 ** 20

type FakeEntry = {
  readonly guest: FakeGuest
  readonly secret: string
  readonly createdAt: number
  readonly labels: Readonly<Record<string, string>>
}

/** The fake host: drivers that share it see the same sandboxes, as coordinators before and after a restart do. */
export type FakeHost = { readonly sandboxes: Map<SandboxId, FakeEntry> }

export function createFakeHost(): FakeHost {
  return { sandboxes: new Map() }
}

/**
 * Sandboxes in memory, without processes; what commands do is steered by input (fake-program.ts).
 * `FAKE_SPAWN_FAILS` in the request's environment lets a spawn fail.
 */
export function createFakeDriver(options: {
  readonly clock: { now(): number }
  readonly randomBytes: (size: number) => Buffer
  readonly host?: FakeHost
}): SandboxDriver {
  const { sandboxes } = options.host ?? createFakeHost()
  const nextNonce = () => options.randomBytes(16).toString('hex')

  async function connect(sandboxId: SandboxId, { guest, secret }: FakeEntry, signal: AbortSignal) {
    const [near, far] = duplexPair()
    guest.accept(far)
    return await connectGuest({
      stream: near,
      sandboxId,
      secret,
      nonce: nextNonce(),
      timeoutMs: CONNECT_TIMEOUT_MS,
      signal,
    })
  }

  function toSandbox(
    id: SandboxId,
    connection: Awaited<ReturnType<typeof connectGuest>>,
    timings: Sandbox['timings'],
  ): Sandbox {
    return createGuestSandbox({
      connection,
      id,
      driver: 'fake',
      timings,
      hooks: {
        async stop({ graceMs }) {
          if (connection.isOpen) {
            await connection.request({ op: 'stop', graceMs }, parseNothing).catch(() => {})
          }
          sandboxes.get(id)?.guest.vanish()
          sandboxes.delete(id)
        },
      },
    })
  }

  async function spawn(request: SpawnRequest, signal: AbortSignal): Promise<Sandbox> {
    const { sandboxId, env, deadmanMs, limits, labels, hostname } = request
    signal.throwIfAborted()
    if (sandboxes.has(sandboxId))
      throw new SandboxError('already_exists', `there is a sandbox ${sandboxId} already`)
    if (env.FAKE_SPAWN_FAILS !== undefined) {
      throw new SandboxError('spawn_failed', `cannot start sandbox ${sandboxId}: asked to fail`, {
        data: { sandboxId },
      })
    }
    const startedAt = performance.now()
    const secret = nextNonce()
    const guest = new FakeGuest({
      sandboxId,
      secret,
      deadmanMs,
      env: { HOME: '/home/agent', USER: 'agent', ...env },
      diskBytes: limits.diskMib * MIB,
      onGone: () => {},
    })
    const entry = { guest, secret, createdAt: options.clock.now(), labels }
    sandboxes.set(sandboxId, entry)
    try {
      const connection = await connect(sandboxId, entry, signal)
      const entropy = options.randomBytes(64).toString('base64')
      const nowMs = Math.max(0, Math.round(options.clock.now()))
      const identity = { op: 'identity', entropy, nowMs, hostname, nonce: nextNonce() } as const
      await connection.request(identity, parseIdentityAck)
      return toSandbox(sandboxId, connection, { ready: performance.now() - startedAt })
    } catch (error) {
      guest.vanish()
      sandboxes.delete(sandboxId)
      throw error
    }
  }

  return {
    name: 'fake',
    capabilities: {
      memorySnapshot: false,
      fork: false,
      limits: 'soft',
      egress: ['none'],
      adopt: true,
      isolation: 'fake',
    },
    probe: async () => ({ ok: true, detail: {}, warnings: ['sandboxes are faked: nothing is really run'] }),
    prepareTemplate: async (spec) => parseTemplateSpec(spec, 'fake'),
    spawn,
    async adopt(sandboxId, signal) {
      const entry = sandboxes.get(sandboxId)
      if (entry === undefined || entry.guest.isGone) return undefined
      const startedAt = performance.now()
      const connection = await connect(sandboxId, entry, signal)
      return toSandbox(sandboxId, connection, { connect: performance.now() - startedAt })
    },
    async list() {
      return [...sandboxes].map(([sandboxId, { guest, createdAt, labels }]) => ({
        sandboxId,
        driver: 'fake',
        isAlive: !guest.isGone,
        createdAt,
        labels,
      }))
    },
    async gc(keep) {
      const removed = [...sandboxes.keys()].filter((id) => !keep.has(id))
      let killedProcessCount = 0
      for (const id of removed) {
        if (sandboxes.get(id)?.guest.isGone === false) killedProcessCount++
        sandboxes.get(id)?.guest.vanish()
        sandboxes.delete(id)
      }
      return { removed, killedProcessCount, problems: [] }
    },
  }
}
