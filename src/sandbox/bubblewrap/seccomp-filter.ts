/**
 * A filter of system calls for everything in a sandbox, as the program that `bwrap --seccomp` loads; pure.
 *
 * Namespaces do not take these away, and a ticket's work does not need them: namespaces and mounts of one's own
 * (which give all rights over large parts of the kernel), key rings (inherited from the daemon), socket families
 * that belong to no network namespace (`AF_VSOCK` reaches the hypervisor), and calls that only widen the surface.
 */

/** A processor as Node names it; the system calls have other numbers on each. */
type Processor = { readonly auditArch: number; readonly calls: Readonly<Record<string, number>> }

const SAME_EVERYWHERE = {
  clone3: 435,
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  mount_setattr: 442,
  quotactl_fd: 443,
} as const

const PROCESSORS: Readonly<Partial<Record<string, Processor>>> = {
  x64: {
    auditArch: 0xc000_003e,
    calls: {
      ...SAME_EVERYWHERE,
      socket: 41,
      clone: 56,
      syslog: 103,
      pivot_root: 155,
      acct: 163,
      mount: 165,
      umount2: 166,
      swapon: 167,
      swapoff: 168,
      reboot: 169,
      iopl: 172,
      ioperm: 173,
      init_module: 175,
      delete_module: 176,
      quotactl: 179,
      kexec_load: 246,
      add_key: 248,
      request_key: 249,
      keyctl: 250,
      unshare: 272,
      perf_event_open: 298,
      open_by_handle_at: 304,
      setns: 308,
      finit_module: 313,
      kexec_file_load: 320,
      bpf: 321,
      userfaultfd: 323,
    },
  },
  arm64: {
    auditArch: 0xc000_00b7,
    calls: {
      ...SAME_EVERYWHERE,
      umount2: 39,
      mount: 40,
      pivot_root: 41,
      quotactl: 60,
      acct: 89,
      unshare: 97,
      kexec_load: 104,
      init_module: 105,
      delete_module: 106,
      syslog: 116,
      reboot: 142,
      socket: 198,
      add_key: 217,
      request_key: 218,
      keyctl: 219,
      clone: 220,
      swapon: 224,
      swapoff: 225,
      perf_event_open: 241,
      open_by_handle_at: 265,
      setns: 268,
      finit_module: 273,
      bpf: 280,
      userfaultfd: 282,
      kexec_file_load: 294,
    },
  },
}

/** Judged by their arguments; every other call of the table is refused outright. */
const JUDGED = new Set(['socket', 'clone', 'clone3', 'unshare'])

/** Flags for namespaces: mount, cgroup, uts, ipc, user, pid, net */
const NAMESPACE_FLAGS = 0x7e02_0000
const TIME_NAMESPACE_FLAG = 0x80
const [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK] = [1, 2, 10, 16]
const NETLINK_ROUTE = 0
/** Calls of the x32 ABI have this bit; no table here knows them */
const X32_BIT = 0x4000_0000

const [EPERM, ENOSYS, EAFNOSUPPORT] = [1, 38, 97]
const ALLOW = 0x7fff_0000
const KILL = 0x8000_0000
const refuse = (errno: number) => 0x0005_0000 | errno

/** Offsets in the data that the kernel shows a filter, bytes; of an argument its lower half */
const NUMBER_AT = 0
const ARCH_AT = 4
const argumentAt = (index: number) => 16 + 8 * index

/** @returns the filter's bytes; `undefined` on a processor whose system calls are not known here */
export function buildSeccompFilter(processor: string): Buffer | undefined {
  const known = PROCESSORS[processor]
  if (known === undefined) return undefined
  const { auditArch, calls } = known
  const refused = Object.entries(calls).filter(([name]) => !JUDGED.has(name))
  return encode([
    load(ARCH_AT),
    // Another ABI of the same processor (32 bit) would have other numbers for the same calls.
    ...unlessEqual(auditArch, [answer(KILL)]),
    load(NUMBER_AT),
    ...(processor === 'x64' ? ifAtLeast(X32_BIT, [answer(refuse(ENOSYS))]) : []),
    // Its flags are in memory, which a filter cannot read; told that it does not exist, everyone takes `clone`.
    ...ifEqual(calls.clone3, [answer(refuse(ENOSYS))]),
    ...ifEqual(calls.clone, [...judgeFlags(NAMESPACE_FLAGS), answer(ALLOW)]),
    ...ifEqual(calls.unshare, [...judgeFlags(NAMESPACE_FLAGS | TIME_NAMESPACE_FLAG), answer(ALLOW)]),
    ...ifEqual(calls.socket, judgeSocket()),
    ...refused.flatMap(([, number]) => ifEqual(number, [answer(refuse(EPERM))])),
    answer(ALLOW),
  ])
}

function judgeFlags(flags: number): Instruction[] {
  return [load(argumentAt(0)), ...ifAnySet(flags, [answer(refuse(EPERM))])]
}

/** Families of this network namespace, and of netlink only what tells about its devices. */
function judgeSocket(): Instruction[] {
  return [
    load(argumentAt(0)),
    ...[AF_UNIX, AF_INET, AF_INET6].flatMap((family) => ifEqual(family, [answer(ALLOW)])),
    ...ifEqual(AF_NETLINK, [load(argumentAt(2)), ...ifEqual(NETLINK_ROUTE, [answer(ALLOW)])]),
    answer(refuse(EAFNOSUPPORT)),
  ]
}

// ---------------------------------------------------------------- classic BPF

type Instruction = {
  readonly code: number
  readonly skipIfTrue: number
  readonly skipIfFalse: number
  readonly k: number
}

const [LOAD_WORD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_SET, RETURN] = [0x20, 0x15, 0x35, 0x45, 0x06]

function load(offset: number): Instruction {
  return { code: LOAD_WORD, skipIfTrue: 0, skipIfFalse: 0, k: offset }
}

function answer(action: number): Instruction {
  return { code: RETURN, skipIfTrue: 0, skipIfFalse: 0, k: action }
}

function ifEqual(k: number | undefined, then: readonly Instruction[]): Instruction[] {
  if (k === undefined) throw new Error('mistake: a system call without a number')
  return [{ code: JUMP_EQUAL, skipIfTrue: 0, skipIfFalse: then.length, k }, ...then]
}

function unlessEqual(k: number, then: readonly Instruction[]): Instruction[] {
  return [{ code: JUMP_EQUAL, skipIfTrue: then.length, skipIfFalse: 0, k }, ...then]
}

function ifAtLeast(k: number, then: readonly Instruction[]): Instruction[] {
  return [{ code: JUMP_AT_LEAST, skipIfTrue: 0, skipIfFalse: then.length, k }, ...then]
}

function ifAnySet(k: number, then: readonly Instruction[]): Instruction[] {
  return [{ code: JUMP_ANY_SET, skipIfTrue: 0, skipIfFalse: then.length, k }, ...then]
}

/** `struct sock_filter`, eight bytes each; both processors are little-endian. */
function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8)
  for (const [index, { code, skipIfTrue, skipIfFalse, k }] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(skipIfTrue, index * 8 + 2)
    bytes.writeUInt8(skipIfFalse, index * 8 + 3)
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4)
  }
  return bytes
}
