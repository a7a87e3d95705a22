import { expect, test } from 'vitest'
import { buildSeccompFilter } from './seccomp-filter.ts'

const ALLOW = 0x7fff_0000
const KILL = 0x8000_0000
const EPERM = 0x0005_0001
const ENOSYS = 0x0005_0026
const EAFNOSUPPORT = 0x0005_0061

type Call = { readonly nr: number; readonly args?: readonly number[]; readonly arch?: number }

/** Runs the program as the kernel would: classic BPF over `struct seccomp_data`. */
function judge(program: Buffer, { nr, args = [], arch = 0xc000_003e }: Call): number {
  const data = Buffer.alloc(64)
  data.writeUInt32LE(nr, 0)
  data.writeUInt32LE(arch, 4)
  for (const [index, value] of args.entries()) data.writeBigUInt64LE(BigInt(value), 16 + 8 * index)
  let loaded = 0
  for (let at = 0; at < program.length; at += 8) {
    const [code, k] = [program.readUInt16LE(at), program.readUInt32LE(at + 4)]
    const skip = (isTrue: boolean) => 8 * program.readUInt8(at + (isTrue ? 2 : 3))
    if (code === 0x20) loaded = data.readUInt32LE(k)
    else if (code === 0x15) at += skip(loaded === k)
    else if (code === 0x35) at += skip(loaded >= k)
    else if (code === 0x45) at += skip((loaded & k) !== 0)
    else if (code === 0x06) return k
    else throw new Error(`unknown instruction ${code}`)
  }
  throw new Error('the program runs off its end')
}

function filterOf(processor: string): Buffer {
  const filter = buildSeccompFilter(processor)
  if (filter === undefined) throw new Error(`no filter for ${processor}`)
  return filter
}

test('a processor whose system calls are not known has no filter', () => {
  expect(buildSeccompFilter('mips')).toBeUndefined()
})

test('ordinary calls pass; threads and processes too', () => {
  const filter = filterOf('x64')
  for (const nr of [0, 1, 59, 202, 231, 257, 334]) expect(judge(filter, { nr })).toBe(ALLOW)
  const THREAD = 0x003d_0f00
  expect(judge(filter, { nr: 56, args: [THREAD] })).toBe(ALLOW)
  expect(judge(filter, { nr: 56, args: [17] })).toBe(ALLOW)
  expect(judge(filter, { nr: 272, args: [0x400] })).toBe(ALLOW)
})

test('no namespace of its own, by whatever call', () => {
  const filter = filterOf('x64')
  for (const flag of [
    0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
  ]) {
    expect(judge(filter, { nr: 56, args: [flag | 17] })).toBe(EPERM)
    expect(judge(filter, { nr: 272, args: [flag] })).toBe(EPERM)
  }
  expect(judge(filter, { nr: 272, args: [0x80] })).toBe(EPERM)
  expect(judge(filter, { nr: 435 })).toBe(ENOSYS)
  expect(judge(filter, { nr: 308 })).toBe(EPERM)
})

test('key rings, mounts, BPF and kernel modules are refused on both processors', () => {
  const arm = 0xc000_00b7
  for (const nr of [165, 248, 249, 250, 298, 321, 323, 425]) {
    expect(judge(filterOf('x64'), { nr })).toBe(EPERM)
  }
  for (const nr of [40, 217, 218, 219, 241, 280, 282, 425]) {
    expect(judge(filterOf('arm64'), { nr, arch: arm })).toBe(EPERM)
  }
  expect(judge(filterOf('arm64'), { nr: 220, args: [0x1000_0011], arch: arm })).toBe(EPERM)
  expect(judge(filterOf('arm64'), { nr: 63, arch: arm })).toBe(ALLOW)
})

test('sockets are of this network namespace: no AF_VSOCK, AF_ALG, AF_PACKET, netlink for devices only', () => {
  const filter = filterOf('x64')
  for (const family of [1, 2, 10]) expect(judge(filter, { nr: 41, args: [family, 1, 0] })).toBe(ALLOW)
  for (const family of [0, 17, 29, 31, 38, 40, 44]) {
    expect(judge(filter, { nr: 41, args: [family, 1, 0] })).toBe(EAFNOSUPPORT)
  }
  expect(judge(filter, { nr: 41, args: [16, 3, 0] })).toBe(ALLOW)
  for (const protocol of [4, 9, 12, 15]) {
    expect(judge(filter, { nr: 41, args: [16, 3, protocol] })).toBe(EAFNOSUPPORT)
  }
})

test('another ABI of the processor is no way around it', () => {
  const filter = filterOf('x64')
  expect(judge(filter, { nr: 359, arch: 0x4000_0003 })).toBe(KILL)
  expect(judge(filter, { nr: 0x4000_0000 | 250 })).toBe(ENOSYS)
})
