/**
 * The supervisor and the workloads are different users where the driver has the right to make them so. The
 * supervisor then acts with the workload's identity for everything it does with files, and takes its own back
 * only to start a workload or to reach the gateway. Its real and saved user stay its own: a workload can
 * neither signal nor trace it, nor read its memory.
 */
import { chownSync } from 'node:fs'
import type { GuestConfig } from '../src/sandbox/guest-protocol-messages.ts'

type Ids = { readonly uid: number; readonly gid: number }
let workload: Ids | undefined

export function becomeWorkloadUser(config: GuestConfig): void {
  workload = config.workloadUser
  if (workload === undefined) return
  for (const directory of config.ownDirectories) chownSync(directory, workload.uid, workload.gid)
  process.setgroups?.([workload.gid])
  process.setegid?.(workload.gid)
  process.seteuid?.(workload.uid)
}

/** Runs a synchronous action with the supervisor's own identity. */
export function asSupervisor<T>(action: () => T): T {
  if (workload === undefined) return action()
  process.seteuid?.(0)
  process.setegid?.(0)
  try {
    return action()
  } finally {
    process.setegid?.(workload.gid)
    process.seteuid?.(workload.uid)
  }
}

/** Options that start a child as the workload's user; only inside `asSupervisor`. */
export function workloadIds(): Partial<Ids> {
  return workload ?? {}
}
