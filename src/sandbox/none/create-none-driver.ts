import { mkdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { signalProcess, spawnProcess } from '../../platform/process.ts'
import * as identity from '../../platform/process-identity.ts'
import { connectUnixSocket, listenForChild } from '../../platform/unix-socket.ts'
import type { SandboxDriver, WarmRequest } from '../contract.ts'
import { SANDBOX_ID_VARIABLE } from '../host-processes.ts'
import {
  createProcessDriver,
  type Flavour,
  type Preparation,
  type ProcessDriverOptions,
} from '../process-driver.ts'

export type NoneDriverOptions = ProcessDriverOptions & {
  readonly nodePath?: string
  /** Where it is said, once per sandbox, that nothing is isolated */
  readonly warn: (message: string) => void
}

const MIB = 2 ** 20
const WARNING =
  'the sandbox driver "none" isolates nothing: workloads run as this user, with its files and its network'

/**
 * No isolation at all: the guest program and its workloads as plain processes in a directory of their own. For
 * hosts that are disposable themselves. Paths such as `/workspace` are replaced at the start of arguments,
 * environment values and working directories; a program that has them built in does not find them.
 */
export function createNoneDriver(options: NoneDriverOptions): SandboxDriver {
  const nodePath = options.nodePath ?? process.execPath
  const flavour: Flavour = {
    name: 'none',
    capabilities: {
      memorySnapshot: false,
      fork: false,
      limits: 'soft',
      egress: ['gateway'],
      adopt: true,
      isolation: 'none',
    },
    rehearses: false,
    probe: async () => ({ ok: true, detail: { node: nodePath }, warnings: [WARNING] }),
    cgroupsOf: () => [],
    async prepare(request, directory) {
      options.warn(`sandbox ${request.sandboxId}: ${WARNING}`)
      return await prepare(request, join(directory, 'root'), nodePath, options.guestProgramPath)
    },
    removeLimits: async () => {},
    removeStrayLimits: async () => [],
  }
  return createProcessDriver(options, flavour, {
    ...identity,
    spawnProcess,
    signalProcess,
    listenForChild,
    connectUnixSocket,
    listCgroupPids: async () => [],
  })
}

async function prepare(
  request: WarmRequest,
  root: string,
  nodePath: string,
  guestProgramPath: string,
): Promise<Preparation> {
  const { limits, sandboxId } = request
  const toHost = (path: string) => join(root, path)
  for (const path of ['/workspace', '/tmp', '/home/agent', '/swarm/bin', '/swarm/attempt']) {
    await mkdir(toHost(path), { recursive: true })
  }
  await symlink(nodePath, toHost('/swarm/bin/node'))
  await symlink(dirname(guestProgramPath), toHost('/swarm/guest'))
  if (request.gatewayDirectory !== undefined)
    await symlink(request.gatewayDirectory, toHost('/swarm/gateway'))
  for (const [host, guest] of Object.entries(request.readOnlyMounts ?? {})) {
    await mkdir(dirname(toHost(guest)), { recursive: true })
    await symlink(host, toHost(guest))
  }
  const pathMap: Record<string, string> = {}
  for (const path of ['/workspace', '/swarm', '/tmp', '/home/agent', '/opt', '/mnt', '/srv']) {
    const isMounted = Object.values(request.readOnlyMounts ?? {}).some((guest) =>
      guest.startsWith(`${path}/`),
    )
    if (!['/opt', '/mnt', '/srv'].includes(path) || isMounted) pathMap[path] = toHost(path)
  }
  return {
    argv: [nodePath, guestProgramPath, SANDBOX_ID_VARIABLE, sandboxId],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', UV_THREADPOOL_SIZE: '2' },
    baseEnv: {
      HOME: '/home/agent',
      PATH: '/swarm/bin:/usr/local/bin:/usr/bin:/bin',
      LANG: 'C.UTF-8',
      TMPDIR: '/tmp',
      USER: 'agent',
    },
    config: {
      ownDirectories: [],
      workspace: '/workspace',
      argvPrefix: [],
      pathMap,
      hasPidNamespace: false,
      memoryBytesMax: limits.memoryMib * MIB,
      processCountMax: limits.processCountMax,
      ...(request.gatewayDirectory === undefined
        ? {}
        : { gateway: { kind: 'socket', socketPath: '/swarm/gateway/gateway.sock', port: 0 } }),
    },
  }
}
